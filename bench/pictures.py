"""Pictures of benchmarks."""

import re
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure


def file_name(title: str) -> str:
    """The name of a picture's file, such as `class-burst.svg`."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") + ".svg"


def save(figure: Figure, path: Path) -> None:
    """Write an SVG; the same figure gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": path.name, "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
