"""Pictures of the streams: accuracy after each phase."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from bench.learning.results import Result, Spread, of
from bench.learning.table import METHODS
from bench.pictures import file_name
from trainer.pictures import save


def draw(results: Sequence[Result], folder: Path) -> dict[str, str]:
    """
    Draw an SVG for each stream; the same figures give the same bytes.

    Args:
        results: What was found.
        folder: Where they are written.

    Returns:
        The name of each stream's file.
    """
    names = {stream: file_name(stream) for stream in (each.stream for each in results)}
    for stream, name in names.items():
        save(_figure(results, stream), folder / name)
    return names


def _figure(results: Sequence[Result], stream: str) -> Figure:
    """Lines for what learns phase by phase, with the spread; a level line for what learns at once."""
    figure = Figure(figsize=(8, 4))
    axes = figure.subplots()
    phases: list[str] = []
    for number, (name, entry) in enumerate(METHODS.items()):
        found = of(results, stream, name)
        if not found:
            continue
        spreads = [
            spread
            for figures in zip(*(each.scores.accuracies for each in found), strict=True)
            if (spread := Spread.of(figures))
        ]
        means = [100 * spread.mean for spread in spreads]
        if len(means) == 1:
            axes.axhline(means[0], color=f"C{number}", linestyle="--", label=entry.title)
        else:
            phases = found[0].phases
            deviations = [100 * (spread.deviation or 0.0) for spread in spreads]
            axes.errorbar(
                range(len(means)), means, deviations,
                color=f"C{number}", marker="o", capsize=3, label=entry.title,
            )  # fmt: skip
    axes.set_xticks(range(len(phases)), phases)
    axes.set_ylabel("accuracy on the whole test, %")
    axes.set_title(stream)
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return figure
