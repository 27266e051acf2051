"""An hour under load while releases come: whether memory stays as it is."""

import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np
from matplotlib.figure import Figure

from artefacts.manifest import ENCODER
from bench.speed.load import Load, lasting
from bench.speed.models import Size
from bench.speed.parts import Aim, Part, Run, of_rounds, table
from bench.speed.releases import BURST, SHARE, Swapping, published
from bench.speed.stage import Model, Stage
from roomstream.sending import Sender

_LASTING = 60  # times as long as a load


class Soak(msgspec.Struct, frozen=True):
    """
    What became of a worker in an hour.

    Attributes:
        model: Its name.
        minutes: How long it was.
        listings: How many were answered.
        megabytes: The worker's memory after each release, over the whole time.
    """

    model: str
    minutes: float
    listings: int
    megabytes: list[float]

    @property
    def title(self) -> str:
        """The model."""
        return self.model

    def aims(self) -> list[Aim]:
        """It is flat."""
        what = f"worker memory, last tenth of the soak against its second tenth, {self.model}"
        return [Aim(what=what, aim=1.05, better="less", found=of_rounds([self._growth()]))]

    def table(self) -> str:
        """Memory by time."""
        head = (
            self.model,
            "minutes",
            "releases",
            "listings",
            "lost",
            "MB, second tenth",
            "last tenth",
        )
        cells = (
            "", f"{self.minutes:.0f}", str(len(self.megabytes)), str(self.listings), "0",
            f"{self._tenth(1):.0f}", f"{self._tenth(9):.0f}",
        )  # fmt: skip
        return table(head, [cells])

    def figure(self) -> Figure:
        """Memory by release."""
        figure = Figure(figsize=(8, 3))
        axes = figure.subplots()
        axes.plot(self.megabytes)
        axes.set_xlabel(f"{self.model}: releases taken up in {self.minutes:.0f} minutes")
        axes.set_ylabel("memory, MB")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        return figure

    def _growth(self) -> float:
        return self._tenth(9) / self._tenth(1)

    def _tenth(self, number: int) -> float:
        count = len(self.megabytes)
        return float(np.median(self.megabytes[count * number // 10 : count * (number + 1) // 10]))


def measure(size: Size, run: Run) -> Soak:
    """
    Load a worker for an hour, while releases come one by one.

    Args:
        size: Of the model.
        run: Titles, how many releases, and a sixtieth of the time.
    """
    with tempfile.TemporaryDirectory(prefix="roomstream-bench-") as folder:
        model = Model.made(size, Path(folder))
        run.tick(f"{size.name}: making {run.releases} releases")
        manifests = list(published(model, run.releases, run.texts))
        stage = Stage.made(model, run.servers)
        with (
            stage.running(stage.workers("exactly-once", [0])) as workers,
            stage.results_reader() as reader,
            Sender(stage.kafka, stage.shared.topic_prefix) as sender,
        ):
            encoder = model.imported.manifest.blobs[ENCODER]
            swaps = Swapping(stage, sender, workers[0], encoder)
            load = Load(stage, reader, run.texts, workers, swaps.answered_by)
            rate, before, began = SHARE * load.capacity(BURST), load.total, time.monotonic()
            for number, manifest in enumerate(manifests):
                run.tick(f"{size.name}: release {number + 1:,} of {len(manifests):,}")
                swaps.during(load, rate, [manifest])
                due = began + _LASTING * run.seconds * (number + 1) / len(manifests)
                load.run(rate, lasting(due - time.monotonic()))
            minutes = (time.monotonic() - began) / 60
    return Soak(size.name, minutes, load.total - before, swaps.megabytes)


_ABOUT = """\
One worker (exactly-once, with its memory of titles) for an hour at half of what it can answer, while
releases come one by one, one in ten with another encoder. Its memory is bounded: three encoders at most
stay, each with the features of 10,000 texts (`WORKER_RECENT_TEXTS`), and three tokenizers; clients hold a
window, and what is fetched ahead (50 MB at most).
"""

PART = Part(
    "soak",
    _ABOUT,
    lambda run: (measure(size, run) for size in run.sizes),
    Soak,
)
