"""From the production of a listing to its result, under loads from light to more than a worker can do."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from matplotlib.figure import Figure

from bench.speed.load import PERCENTILES, Load, percentiles
from bench.speed.models import Size
from bench.speed.parts import Aim, Part, Run, table
from bench.speed.stage import Model, Stage

LOADS = (0.1, 0.5, 0.8, 1.5)
_BURST = 512


class AtLoad(msgspec.Struct, frozen=True):
    """
    What a load did.

    Attributes:
        share: Of the capacity.
        listings: How many came.
        answered: Results a second, from the first listing to the last result.
        milliseconds: 50th, 99th and 99.9th percentile, of the whole way and of its stages.
    """

    share: float
    listings: int
    answered: float
    milliseconds: dict[str, list[float]]


class Latency(msgspec.Struct, frozen=True):
    """
    What was measured with one model.

    Attributes:
        model: Its name.
        capacity: Results a second of one worker for which enough listings wait.
        loads: From light to heavy.
    """

    model: str
    capacity: float
    loads: list[AtLoad]

    @property
    def title(self) -> str:
        """The model."""
        return self.model

    def aims(self) -> list[Aim]:
        """None was set."""
        return []

    def table(self) -> str:
        """A row a load."""
        stages = list(self.loads[0].milliseconds)
        head = (f"{self.model}, of {self.capacity:.0f}/s", "listings", "answered/s", *stages)
        rows = [
            (
                f"{load.share:.0%}",
                str(load.listings),
                f"{load.answered:.0f}",
                *(
                    " / ".join(f"{value:.0f}" for value in load.milliseconds[name])
                    for name in stages
                ),
            )
            for load in self.loads
        ]
        return table(head, rows)

    def figure(self) -> Figure:
        """Percentiles over load."""
        figure = Figure(figsize=(8, 3))
        axes = figure.subplots()
        shares = [load.share for load in self.loads]
        for number, percentile in enumerate(PERCENTILES):
            ways = [load.milliseconds["all"][number] for load in self.loads]
            axes.plot(shares, ways, marker="o", label=f"{percentile:g}%")
        axes.set_yscale("log")
        axes.set_xlabel(
            f"{self.model}: listings that come, as a share of what one worker can answer"
        )
        axes.set_ylabel("ms to the result")
        axes.grid(alpha=0.3)
        axes.legend()
        return figure


def measure(size: Size, run: Run) -> Latency:
    """
    Load one worker (exactly-once) more and more.

    Args:
        size: Of the model.
        run: Titles, and how long each load lasts.
    """
    with tempfile.TemporaryDirectory(prefix="roomstream-bench-") as folder:
        stage = Stage.made(Model.made(size, Path(folder)), run.servers)
        # The same titles come again: none may be remembered.
        command = stage.workers("exactly-once", 1, "--recent-texts", "0")
        with stage.running(command) as workers, stage.results_reader() as reader:
            load = Load(stage, reader, run.texts, workers)
            run.tick(f"{size.name}: capacity")
            load.capacity(_BURST)
            capacity = load.capacity(_BURST)
            loads = []
            for share in LOADS:
                run.tick(f"{size.name}: {share:.0%} of {capacity:.0f} listings a second")
                began, before = time.time(), load.total
                trips = load.run(share * capacity, lasting(run.seconds))
                answered = len(trips) / (max(trip.read for trip in trips) - began)
                loads.append(AtLoad(share, load.total - before, answered, percentiles(trips)))
    return Latency(size.name, capacity, loads)


def lasting(seconds: float) -> Callable[[], bool]:
    """Whether so many seconds from now are not over."""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() < until


_ABOUT = """\
From the time at which a listing was due to be produced to its result in the hands of a consumer that
reads what is committed: milliseconds, 50th / 99th / 99.9th percentile. Listings come at random times (a
Poisson process), whether or not those before are answered, to one worker (exactly-once). *To its window*:
in Kafka, and behind the window in progress; *answered*: tokenised, inferred, produced; *committed and
read*: the transaction, and the consumer. At 150% of what it can do a worker goes on at full speed with
the largest windows, and what waits grows until the load ends.
"""

PART = Part(
    "latency",
    _ABOUT,
    lambda run: [measure(size, run) for size in run.sizes],
    Latency,
)
