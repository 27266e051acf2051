"""Releases taken up while listings come: what a listing notices of it, and whether memory grows."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
from matplotlib.figure import Figure

from artefacts.manifest import ENCODER, Manifest
from bench.speed.load import Load, Trip, lasting
from bench.speed.models import Size
from bench.speed.parts import Aim, Part, Run, spread, table
from bench.speed.releases import BLOCKS, BURST, SHARE, Swapping, of_block, published
from bench.speed.rounds import Ratio
from bench.speed.stage import Model, Stage
from roomstream.sending import Sender
from schemas.errors import TryAgain


class Swaps(msgspec.Struct, frozen=True):
    """
    What was measured with one model.

    Attributes:
        model: Its name.
        listings: How many were answered meanwhile.
        seconds_to_take_up: From the announcement to the first result of each release with the encoder
            that is there.
        seconds_for_encoders: The same of those with another one.
        steady: 99th percentile in milliseconds, block by block.
        swapping: The same with releases, in the block before.
        heads: The same of its first part, where releases have the encoder that is there.
        beside: The same of that part and one where none is taken up, while another process loads the
            encoders.
        megabytes: The worker's memory after each release.
    """

    model: str
    listings: int
    seconds_to_take_up: list[float]
    seconds_for_encoders: list[float]
    steady: list[float]
    swapping: list[float]
    heads: list[float]
    beside: list[float]
    megabytes: list[float]

    @property
    def title(self) -> str:
        """The model."""
        return self.model

    def aims(self) -> list[Aim]:
        """A listing does not notice."""
        what = f"99th percentile during swaps against the steady one, {self.model}"
        return [
            Aim(what=f"{what}, new heads", aim=1.1, better="less", found=self._against(self.heads)),
            Aim(
                what=f"{what}, and one in ten a new encoder",
                aim=1.1,
                better="less",
                found=self._against(self.swapping),
            ),
        ]

    def table(self) -> str:
        """Latency, and what the memory does."""
        head = (
            self.model, "p99, new heads over steady", "with new encoders",
            "if another process loads these", "steady p99, ms", "releases",
            "listings", "lost", "to take one up, s", "an encoder", "memory, MB", "a release more, MB",
        )  # fmt: skip
        cells = (
            "",
            spread(self._against(self.heads)),
            spread(self._against(self.swapping)),
            spread(self._against(self.beside)),
            f"{np.median(self.steady):.0f}",
            str(len(self.megabytes)),
            str(self.listings),
            "0",
            f"{np.median(self.seconds_to_take_up):.2f}",
            f"{np.median(self.seconds_for_encoders):.2f}",
            f"{self.megabytes[-1]:.0f}",
            f"{self._growth():.3f}",
        )
        return table(head, [cells])

    def figure(self) -> Figure:
        """Latency by block, and memory by release."""
        figure = Figure(figsize=(8, 3))
        left, right = figure.subplots(1, 2)
        left.plot(self.steady, marker="o", label="steady")
        left.plot(self.heads, marker="o", label="with new heads")
        left.plot(self.swapping, marker="o", label="and new encoders")
        left.plot(self.beside, marker="o", label="loaded by another process")
        left.set_xlabel("block")
        left.set_ylabel("p99, ms")
        left.set_ylim(bottom=0)
        left.legend()
        right.plot(self.megabytes)
        right.set_xlabel("releases taken up")
        right.set_ylabel("memory, MB")
        right.set_ylim(bottom=0)
        figure.suptitle(self.model)
        return figure

    def _against(self, found: Sequence[float]) -> Ratio:
        return Ratio.of(found, self.steady)

    def _growth(self) -> float:
        """Megabytes a release, by a line through the second half."""
        later = self.megabytes[len(self.megabytes) // 2 :]
        return float(np.polyfit(np.arange(len(later)), later, 1)[0])


def measure(size: Size, run: Run) -> Swaps:
    """
    Let blocks with and without releases take turns, at half of what one worker can answer.

    Args:
        size: Of the model.
        run: Titles, and how many releases.
    """
    with tempfile.TemporaryDirectory(prefix="roomstream-bench-") as folder:
        model = Model.made(size, Path(folder))
        run.tick(f"{size.name}: making {run.releases} releases")
        manifests = list(published(model, run.releases, run.texts))
        stage = Stage.made(model, run.servers)
        command = stage.workers("exactly-once", [0], "--recent-texts", "0")
        with (
            stage.running(command) as workers,
            stage.results_reader() as reader,
            Sender(stage.kafka, stage.shared.topic_prefix) as sender,
        ):
            encoder = model.imported.manifest.blobs[ENCODER]
            swaps = Swapping(stage, sender, workers[0], encoder)
            load = Load(stage, reader, run.texts, workers, swaps.answered_by)
            load.capacity(BURST)
            rate, before = SHARE * load.capacity(BURST), load.total
            steady, swapping, heads, beside = [], [], [], []
            alike, others = of_block(len(manifests))
            for block in range(BLOCKS):
                run.tick(f"{size.name}: block {block + 1} of {BLOCKS}, with releases")
                began = time.monotonic()
                releases = manifests[block * (alike + others) :][: alike + others]
                of_heads = swaps.during(load, rate, releases[:alike])
                of_encoders = swaps.during(load, rate, releases[alike:])
                seconds = time.monotonic() - began
                run.tick(f"{size.name}: block {block + 1} of {BLOCKS}, loaded elsewhere")
                with loading_elsewhere(stage, releases[alike:]) as going_on:
                    of_others = load.run(rate, going_on)
                heads.append(_p99(of_heads))
                swapping.append(_p99([*of_heads, *of_encoders]))
                beside.append(_p99([*of_heads, *of_others]))
                run.tick(f"{size.name}: block {block + 1} of {BLOCKS}, steady")
                steady.append(_p99(load.run(rate, lasting(seconds))))
            listings = load.total - before
    return Swaps(
        size.name,
        listings,
        swaps.seconds,
        swaps.of_encoders,
        steady,
        swapping,
        heads,
        beside,
        swaps.megabytes,
    )


@contextmanager
def loading_elsewhere(stage: Stage, manifests: Sequence[Manifest]) -> Iterator[Callable[[], bool]]:
    """Let another process load the encoders of releases; the function says whether it still does."""
    blobs = [manifest.blobs[ENCODER] for manifest in manifests]
    names = [f"{blob.digest}:{blob.size_bytes}" for blob in blobs]
    with subprocess.Popen(
        [sys.executable, "-m", "bench.speed.encoder_loader", stage.shared.store, *names],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.readline()
        process.stdin.write(b"begin\n")
        process.stdin.flush()
        yield lambda: process.poll() is None
    if process.returncode:
        raise TryAgain(f"The process that loads encoders ended with {process.returncode}.")


def _p99(trips: Sequence[Trip]) -> float:
    return float(np.percentile([1000 * (trip.read - trip.due) for trip in trips], 99))


_ABOUT = """\
Releases taken up while listings come to one worker (exactly-once) at half of what it can answer. Each is
the head of the learner that a trainer uses by default. One in ten, the last ones of a block, has another
encoder, which the worker has in its cache of files, not in memory. Each is announced once the one before
it answers. Blocks with and without releases take turns. A listing that is lost would end the run.

To load an encoder takes a second of processor time, in a thread that gives way to all others. *If another
process loads these* is the limit of this machine: the same blocks, in which no release with another
encoder is taken up, while a process of its own loads the same files with the same priority. What listings
notice of that too is that worker, Kafka, producer and reader have two cores together and none to spare.
A core to spare moves it, and so do releases that keep their encoder.
"""

PART = Part(
    "swap",
    _ABOUT,
    lambda run: (measure(size, run) for size in run.sizes),
    Swaps,
)
