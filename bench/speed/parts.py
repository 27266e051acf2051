"""What the benchmark is made of: parts that measure, and what each measurement shows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal, Protocol

import msgspec
from matplotlib.figure import Figure

from bench.speed.models import Size
from bench.speed.rounds import Ratio, Tick


@dataclass(frozen=True)
class Run:
    """
    What is measured with.

    Attributes:
        sizes: Models.
        labels: The label of each title.
        rounds: How often ways are measured side by side.
        seconds: How long a load lasts.
        releases: How many are taken up under load.
        tick: Is told what runs.
        data: A folder of listings, if it is there.
        servers: The brokers of a Kafka; empty for a part that needs none.
    """

    sizes: Sequence[Size]
    labels: Mapping[str, str]
    rounds: int
    seconds: float
    releases: int
    tick: Tick
    data: Path
    servers: str = ""

    @property
    def texts(self) -> list[str]:
        """Titles, each once."""
        return list(self.labels)


class Aim(msgspec.Struct, frozen=True, kw_only=True):
    """
    A figure that we want to reach.

    Attributes:
        what: In words.
        aim: The figure.
        better: Which side of it is good.
        unit: Ratios are compared between machines, seconds are not.
        found: The median over the rounds, with the least and the most.
    """

    what: str
    aim: float
    better: Literal["more", "less"]
    unit: Literal["", "s"] = ""
    found: Ratio

    @property
    def reached(self) -> bool:
        """Whether the median is on the good side."""
        found = self.found.median
        return found >= self.aim if self.better == "more" else found <= self.aim


class Measured(Protocol):
    """What a part found out, such as with one model."""

    @property
    def title(self) -> str:
        """What its picture and its table are called."""

    def aims(self) -> list[Aim]:
        """The figures to reach."""

    def table(self) -> str:
        """All figures, in Markdown."""

    def figure(self) -> Figure:
        """The table as a picture."""


@dataclass(frozen=True)
class Part:
    """
    A part of the benchmark.

    Attributes:
        name: On the command line.
        about: What is measured and how, in Markdown.
        measure: Does it, model by model.
        kind: Of what it finds.
        on_kafka: It needs one.
    """

    name: str
    about: str
    measure: Callable[[Run], Iterable[Measured]]
    kind: type[Measured]
    on_kafka: bool = True


def row(*cells: str) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join([row(*head), row(*["---"] * len(head)), *(row(*cells) for cells in rows)])


def spread(found: Ratio, digits: int = 2) -> str:
    """A median with the least and the most, such as `0.98 (0.97 to 0.99)`."""
    middle, least, most = (f"{each:.{digits}f}" for each in (found.median, found.least, found.most))
    return f"{middle} ({least} to {most})"


def of_rounds(values: Sequence[float]) -> Ratio:
    """The median of the rounds, with the least and the most."""
    return Ratio(median(values), min(values), max(values))


def bars(title: str, ratios: dict[str, Ratio]) -> Figure:
    """Draw ratios as bars, the first on top."""
    figure = Figure(figsize=(8, 0.6 + 0.38 * len(ratios)))
    axes = figure.subplots()
    names, found = list(reversed(ratios)), list(reversed(ratios.values()))
    spreads = [
        [each.median - each.least for each in found],
        [each.most - each.median for each in found],
    ]
    axes.barh(names, [each.median for each in found], xerr=spreads, capsize=3)
    axes.set_xlabel(title)
    axes.grid(axis="x", alpha=0.3)
    return figure
