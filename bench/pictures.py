"""Pictures of benchmarks."""

import re

from trainer.pictures import save

__all__ = ["file_name", "save"]


def file_name(title: str) -> str:
    """The name of a picture's file, such as `class-burst.svg`."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") + ".svg"
