"""The losses of a training as a picture."""

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure

from artefacts.manifest import Losses
from artefacts.store import write_atomically
from schemas.errors import ConfigurationError


def check_picture(path: Path) -> None:
    """
    Find out before a long training whether its curve can be saved.

    Raises:
        ConfigurationError: There is no such folder, or no such kind of picture.
    """
    kinds = FigureCanvasBase.get_supported_filetypes()
    if path.suffix.removeprefix(".").lower() not in kinds:
        raise ConfigurationError(
            f"--picture {path}: its ending says no kind of picture. Use .svg, .png or .pdf."
        )
    if not path.parent.is_dir() or path.is_dir():
        raise ConfigurationError(
            f"--picture {path} cannot be written: {path.parent} is no folder, or it is one itself."
        )


def draw(curve: Sequence[Losses], best_step: int, title: str) -> Figure:
    """Training and validation loss by step, and which step is kept."""
    figure = Figure(figsize=(7, 4))
    axes = figure.subplots()
    steps = [each.step for each in curve]
    axes.plot(steps, [each.training for each in curve], marker="o", label="training loss")
    axes.plot(steps, [each.validation for each in curve], marker="o", label="validation loss")
    axes.axvline(best_step, color="grey", linestyle="--", label=f"kept: step {best_step:,}")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a picture, whole or not at all; the same figure gives the same bytes of an SVG."""
    kind = path.suffix.removeprefix(".").lower()
    metadata = {"Date": None} if kind == "svg" else {}
    file = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "roomstream", "svg.fonttype": "none"}):
        figure.savefig(file, format=kind, metadata=metadata, bbox_inches="tight")
    write_atomically(path, file.getvalue())
