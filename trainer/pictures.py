"""Pictures: the same figures give the same bytes."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from schemas.errors import ConfigurationError
from trainer.comparison import Figures

LINES = 10
"""Colours of matplotlib; more lines than these are dashed."""


def save(figure: Figure, path: Path) -> None:
    """
    Write a picture, of the kind that its name ends in, such as .svg.

    Raises:
        ConfigurationError: It cannot be written, or not as this kind.
    """
    svg = path.suffix == ".svg"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with mpl.rc_context({"svg.hashsalt": path.name, "svg.fonttype": "none"}):
            figure.savefig(path, metadata={"Date": None} if svg else None, bbox_inches="tight")
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"The picture {path} cannot be written: {error}. Name a file that ends in .svg or .png."
        ) from error


def accuracy_over_time(found: Sequence[Figures], title: str) -> Figure:
    """Draw the accuracy of learners in a window of the stream, the best one first in the legend."""
    figure = Figure(figsize=(9, 5))
    axes = figure.subplots()
    for number, each in enumerate(sorted(found, key=lambda each: -each.accuracy)):
        labels = [labels for labels, _ in each.curve]
        accuracies = [100 * accuracy for _, accuracy in each.curve]
        style = ("-", "--", ":")[number // LINES % 3]
        axes.plot(labels, accuracies, style, color=f"C{number % LINES}", label=each.learner)
    axes.set_xlabel("labels")
    axes.set_ylabel("right before it was learned, % of the last labels")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return figure
