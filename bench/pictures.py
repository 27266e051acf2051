"""Pictures of benchmarks."""

import re


def file_name(title: str) -> str:
    """The name of a picture's file, such as `class-burst.svg`."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") + ".svg"
