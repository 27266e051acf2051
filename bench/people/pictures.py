"""Pictures: accuracy by budget, with what feedback reaches beside it."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from bench.learning.results import Spread
from bench.people.arms import ALL, BUDGETS, EPSILONS, FIRST, asking, hearing
from bench.people.findings import TARGET, accuracy, cities, labels, spread
from bench.people.passing import Result
from bench.pictures import file_name
from trainer.pictures import save


def draw(results: Sequence[Result], folder: Path) -> dict[str, str]:
    """
    Draw an SVG for each city; the same figures give the same bytes.

    Returns:
        The name of each city's file.
    """
    names = {city: file_name(city) for city in cities(results)}
    for city, name in names.items():
        save(_figure(results, city), folder / name)
    return names


def _figure(results: Sequence[Result], city: str) -> Figure:
    figure = Figure(figsize=(8, 4))
    axes = figure.subplots()
    for number, (asks, title) in enumerate(
        (("uncertain", "chosen by uncertainty"), ("random", "at random"))
    ):
        arms = [asking(asks, budget).name for budget in BUDGETS]  # type: ignore[arg-type]
        points = [
            (given.mean, reached)
            for arm in (*arms, ALL)
            if (given := spread(results, city, arm, labels))
            and (reached := spread(results, city, arm, accuracy))
        ]
        axes.errorbar(
            [given for given, _ in points],
            [100 * reached.mean for _, reached in points],
            [100 * (reached.deviation or 0.0) for _, reached in points],
            color=f"C{number}", marker="o", capsize=3, label=title,
        )  # fmt: skip
    levels: list[tuple[str, Spread | None, float]] = [
        (f"{TARGET:.0%} of all labels' accuracy", spread(results, city, ALL, accuracy), TARGET),
        (FIRST, spread(results, city, FIRST, accuracy), 1),
        *(
            (
                f"feedback, epsilon {epsilon:g}",
                spread(results, city, hearing(epsilon).name, accuracy),
                1,
            )
            for epsilon in EPSILONS
        ),
    ]
    for number, (title, found, times) in enumerate(levels, start=2):
        if found:
            axes.axhline(100 * times * found.mean, color=f"C{number}", linestyle="--", label=title)
    axes.set_xscale("log")
    axes.set_xlabel("labels that people gave")
    axes.set_ylabel("accuracy on the test, %")
    axes.set_title(city)
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return figure
