"""From the production of a listing to its result, under loads from light to more than a worker can do."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import msgspec
from matplotlib.figure import Figure

from artefacts.manifest import WEIGHTS
from bench.speed.labels import kept_listings
from bench.speed.load import PERCENTILES, Load, lasting, percentiles
from bench.speed.models import Size, loaded
from bench.speed.parts import Aim, Part, Run, table
from bench.speed.stage import Model, Stage
from schemas.errors import TryAgain
from trainer.finetuning.job import Job, JobFolder
from trainer.finetuning.process import Process
from trainer.metrics import TrainerMetrics

LOADS = (0.1, 0.5, 0.8, 1.5)
BESIDE_FINE_TUNING = 0.8
_BURST = 512
_KEPT = 1_024
_PATIENCE_SECONDS = 120


class AtLoad(msgspec.Struct, frozen=True):
    """
    What a load did.

    Attributes:
        share: Of the capacity.
        beside: What else ran.
        listings: How many came.
        answered: Results a second, from the first listing to the last result.
        milliseconds: 50th, 99th and 99.9th percentile, of the whole way and of its stages.
    """

    share: float
    beside: str
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
                f"{load.share:.0%}{load.beside}",
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
        loads = [load for load in self.loads if not load.beside]
        shares = [load.share for load in loads]
        for number, percentile in enumerate(PERCENTILES):
            ways = [load.milliseconds["all"][number] for load in loads]
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
        model = Model.made(size, Path(folder))
        stage = Stage.made(model, run.servers)
        # The same titles come again: none may be remembered.
        command = stage.workers("exactly-once", [0], "--recent-texts", "0")
        with stage.running(command) as workers, stage.results_reader() as reader:
            load = Load(stage, reader, run.texts, workers)
            run.tick(f"{size.name}: capacity")
            load.capacity(_BURST)
            capacity = load.capacity(_BURST)

            def at(share: float, beside: str = "") -> AtLoad:
                run.tick(f"{size.name}: {share:.0%} of {capacity:.0f} listings a second{beside}")
                began, before = time.time(), load.total
                trips = load.run(share * capacity, lasting(run.seconds))
                answered = len(trips) / (max(trip.read for trip in trips) - began)
                return AtLoad(share, beside, load.total - before, answered, percentiles(trips))

            loads = [at(share) for share in LOADS]
            with _fine_tuning(
                model, dict(islice(run.labels.items(), _KEPT)), Path(folder) / "fine-tuning"
            ):
                loads.append(at(BESIDE_FINE_TUNING, " beside fine-tuning"))
    return Latency(size.name, capacity, loads)


@contextmanager
def _fine_tuning(model: Model, labels: Mapping[str, str], path: Path) -> Iterator[None]:
    """Let a trainer's process fine-tune this encoder for as long as the block lasts."""
    folder = JobFolder(path)
    job = Job(name="beside", why="a benchmark", counts=[1] * 4, steps=10**6, seed=0, threads=1)
    folder.begin(job, kept_listings(loaded(model.imported), labels), model.imported.parts[WEIGHTS])
    process = Process(folder, TrainerMetrics(), "ERROR")
    process.tend(float("inf"))
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    try:
        while not (progress := folder.progress()) or not progress.step:
            if not process.tend(float("inf")) or time.monotonic() > give_up_at:
                raise TryAgain("The process that fine-tunes does not begin.")
            time.sleep(0.1)
        yield
    finally:
        process.kill()


_ABOUT = """\
From the time at which a listing was due to be produced to its result in the hands of a consumer that
reads what is committed: milliseconds, 50th / 99th / 99.9th percentile. Listings come at random times (a
Poisson process), whether or not those before are answered, to one worker (exactly-once). *To its window*:
in Kafka, and behind the window in progress; *answered*: tokenised, inferred, produced; *committed and
read*: the transaction, and the consumer. At 150% of what it can do a worker goes on at full speed with
the largest windows, and what waits grows until the load ends. Fine-tuning of the same encoder runs in a
process of the lowest priority, as a trainer starts it.
"""

PART = Part(
    "latency",
    _ABOUT,
    lambda run: (measure(size, run) for size in run.sizes),
    Latency,
)
