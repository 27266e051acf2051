"""Releases taken up while listings come: what a listing notices of it, and whether memory grows."""

import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path

import msgspec
import numpy as np
import onnx
import psutil
from matplotlib.figure import Figure
from onnx import numpy_helper

from artefacts.classifier import Classifier
from artefacts.graphs import Encoders
from artefacts.manifest import ENCODER, HEAD, Blob, Manifest
from artefacts.store import Store, new_release_id
from artefacts.tokenisation import Tokens
from bench.speed.load import Load, Trip, lasting
from bench.speed.models import Size, loaded
from bench.speed.parts import Aim, Part, Run, of_rounds, spread, table
from bench.speed.rounds import Ratio
from bench.speed.stage import Model, Process, Stage
from roomstream.listing_wording import ROOM_TYPES
from roomstream.sending import Sender
from schemas.codec import encode
from schemas.errors import TryAgain
from schemas.events import ReleaseAnnouncement
from schemas.topics import Topic
from trainer.learners import LEARNERS
from trainer.learners.base import Examples
from trainer.provenance import with_golden

BLOCKS = 10
NEW_ENCODER_EVERY = 10
SHARE = 0.5
_BURST = 512
_ENCODERS = 4  # more than a worker keeps in memory: each comes from its cache of files again
_BATCH = 16
_PATIENCE_SECONDS = 60
_SOAK = 60  # times as long as a load


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
        megabytes: The worker's memory after each release.
    """

    model: str
    listings: int
    seconds_to_take_up: list[float]
    seconds_for_encoders: list[float]
    steady: list[float]
    swapping: list[float]
    heads: list[float]
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
            self.model, "p99, new heads over steady", "with new encoders", "steady p99, ms", "releases",
            "listings", "lost", "to take one up, s", "an encoder", "memory, MB", "a release more, MB",
        )  # fmt: skip
        cells = (
            "",
            spread(self._against(self.heads)),
            spread(self._against(self.swapping)),
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
        manifests = list(_releases(model, run.releases, run.texts))
        stage = Stage.made(model, run.servers)
        command = stage.workers("exactly-once", 1, "--recent-texts", "0")
        with (
            stage.running(command) as workers,
            stage.results_reader() as reader,
            Sender(stage.kafka, stage.shared.topic_prefix) as sender,
        ):
            encoder = model.imported.manifest.blobs[ENCODER]
            swaps = _Swaps(stage, sender, workers[0], encoder)
            load = Load(stage, reader, run.texts, workers, swaps.answered_by)
            load.capacity(_BURST)
            rate, before = SHARE * load.capacity(_BURST), load.total
            steady, swapping, heads = [], [], []
            of_block = -(-len(manifests) // BLOCKS)
            for block in range(BLOCKS):
                run.tick(f"{size.name}: block {block + 1} of {BLOCKS}, with releases")
                began = time.monotonic()
                releases = manifests[block * of_block :][:of_block]
                alike = of_block - of_block // NEW_ENCODER_EVERY
                of_heads = swaps.during(load, rate, releases[:alike])
                of_encoders = swaps.during(load, rate, releases[alike:])
                heads.append(_p99(of_heads))
                swapping.append(_p99([*of_heads, *of_encoders]))
                seconds = time.monotonic() - began
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
        swaps.megabytes,
    )


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


def soak(size: Size, run: Run) -> Soak:
    """
    Load a worker for an hour, while releases come one by one.

    Args:
        size: Of the model.
        run: Titles, how many releases, and a sixtieth of the time.
    """
    with tempfile.TemporaryDirectory(prefix="roomstream-bench-") as folder:
        model = Model.made(size, Path(folder))
        run.tick(f"{size.name}: making {run.releases} releases")
        manifests = list(_releases(model, run.releases, run.texts))
        stage = Stage.made(model, run.servers)
        with (
            stage.running(stage.workers("exactly-once", 1)) as workers,
            stage.results_reader() as reader,
            Sender(stage.kafka, stage.shared.topic_prefix) as sender,
        ):
            encoder = model.imported.manifest.blobs[ENCODER]
            swaps = _Swaps(stage, sender, workers[0], encoder)
            load = Load(stage, reader, run.texts, workers, swaps.answered_by)
            rate, before, began = SHARE * load.capacity(_BURST), load.total, time.monotonic()
            for number, manifest in enumerate(manifests):
                run.tick(f"{size.name}: release {number + 1:,} of {len(manifests):,}")
                swaps.during(load, rate, [manifest])
                due = began + _SOAK * run.seconds * (number + 1) / len(manifests)
                load.run(rate, lasting(due - time.monotonic()))
            minutes = (time.monotonic() - began) / 60
    return Soak(size.name, minutes, load.total - before, swaps.megabytes)


class _Swaps:
    """Announces one release after another, each once the one before it answers."""

    def __init__(self, stage: Stage, sender: Sender, worker: Process, encoder: Blob) -> None:
        self._store = stage.shared.store
        self._sender = sender
        self._worker = psutil.Process(worker.pid)
        self._changed = threading.Condition()
        self._answering = ""
        self._encoder = encoder
        self.seconds: list[float] = []
        self.of_encoders: list[float] = []
        self.megabytes: list[float] = []

    def answered_by(self, release: str) -> None:
        """Note the release of a result."""
        with self._changed:
            self._answering = release
            self._changed.notify_all()

    def during(self, load: Load, rate: float, manifests: Sequence[Manifest]) -> list[Trip]:
        """Load the worker while these are taken up."""
        ended = threading.Event()
        failures: list[Exception] = []

        def announce() -> None:
            try:
                for manifest in manifests:
                    self._take_up(manifest)
            except Exception as error:  # noqa: BLE001 - raised in the thread that measures
                failures.append(error)
            finally:
                ended.set()

        announcing = threading.Thread(target=announce)
        announcing.start()
        trips = load.run(rate, lambda: not ended.is_set())
        announcing.join()
        if failures:
            raise failures[0]
        return trips

    def _take_up(self, manifest: Manifest) -> None:
        release, began = manifest.release, time.monotonic()
        announcement = ReleaseAnnouncement(
            channel="live",
            release=release,
            manifest_digest=manifest.digest(),
            store=self._store,
            why="the next one",
            announced_at=datetime.now(UTC),
        )
        value, header = encode(announcement)
        self._sender.send(Topic.RELEASES, b"live", value, (header,))
        with self._changed:
            if not self._changed.wait_for(lambda: self._answering == release, _PATIENCE_SECONDS):
                raise TryAgain(f"{release} was not taken up within {_PATIENCE_SECONDS} s.")
        taken = self.seconds if manifest.blobs[ENCODER] == self._encoder else self.of_encoders
        self._encoder = manifest.blobs[ENCODER]
        taken.append(time.monotonic() - began)
        self.megabytes.append(self._worker.memory_info().rss / 1e6)


def _releases(model: Model, count: int, texts: Sequence[str]) -> Iterator[Manifest]:
    """Publish releases as a trainer does: a head that has learned on, and now and then an encoder."""
    store, encoders = Store(f"file://{model.folder / 'store'}"), Encoders(capacity=_ENCODERS)
    base = model.imported.manifest
    others = cycle(
        [store.put(_other(model.imported.parts[ENCODER], seed)) for seed in range(_ENCODERS)]
    )
    of_block = -(-count // BLOCKS)
    taught = Classifier.load(base, store.get, encoders)
    learner = LEARNERS["mixture"]()
    for label in base.labels:
        learner.add_class(label)
    encoder = base.blobs[ENCODER]
    for number in range(count):
        tokens = taught.tokenise([texts[(number * _BATCH + i) % len(texts)] for i in range(_BATCH)])
        learner.learn(_examples(taught, tokens), [ROOM_TYPES[i % 4] for i in range(_BATCH)])
        head = learner.head()
        if number % of_block >= of_block - of_block // NEW_ENCODER_EVERY:
            encoder = next(others)
        created_at = datetime.now(UTC)
        manifest = msgspec.structs.replace(
            base,
            release=new_release_id(created_at, Blob.of(head)),
            created_at=created_at,
            learner=learner.name,
            blobs={**base.blobs, ENCODER: encoder, HEAD: store.put(head)},
        )
        manifest = with_golden(manifest, store.get, encoders)
        store.publish(manifest)
        yield manifest


def taught_head(model: Model, texts: Sequence[str]) -> bytes:
    """The head of a learner that has learned some titles with this model."""
    taught = loaded(model.imported)
    tokens, learner = taught.tokenise(texts), LEARNERS["mixture"]()
    learner.learn(_examples(taught, tokens), [ROOM_TYPES[i % 4] for i in range(len(texts))])
    return learner.head()


def _examples(classifier: Classifier, tokens: Sequence[Tokens]) -> Examples:
    features = classifier.encoder.of_tokens(tokens).features
    return Examples(features, [text.ids for text in tokens])


def _other(encoder: bytes, seed: int) -> bytes:
    """An encoder of the same shape that computes something else."""
    model = onnx.load_from_string(encoder)
    weights = next(each for each in model.graph.initializer if len(each.dims) == 1)
    values = numpy_helper.to_array(weights)
    noise = np.random.default_rng(seed).normal(0, 1e-3, values.shape).astype(values.dtype)
    weights.CopyFrom(numpy_helper.from_array(values + noise, weights.name))
    changed: bytes = model.SerializeToString()
    return changed


def _p99(trips: Sequence[Trip]) -> float:
    return float(np.percentile([1000 * (trip.read - trip.due) for trip in trips], 99))


_ABOUT = """\
Releases taken up while listings come to one worker (exactly-once) at half of what it can answer. Each is
the head of the learner that a trainer uses by default. One in ten, the last ones of a block, has another
encoder, which the worker has in its cache of files, not in memory. Each is announced once the one before
it answers. Blocks with and without releases take turns. A listing that is lost would end the run. To load
an encoder takes a second of processor time, in a thread that yields to all others; what listings notice
of it is that worker, Kafka and the reader share two cores, and on them there is little left to yield.
"""

PART = Part(
    "swap",
    _ABOUT,
    lambda run: (measure(size, run) for size in run.sizes),
    Swaps,
)

_ABOUT_SOAK = """\
One worker (exactly-once, with its memory of titles) for an hour at half of what it can answer, while
releases come one by one, one in ten with another encoder. Its memory is bounded: three encoders at most
stay, each with the features of 10,000 texts (`WORKER_RECENT_TEXTS`), and three tokenizers; clients hold a
window, and what is fetched ahead (50 MB at most).
"""

SOAK = Part(
    "soak",
    _ABOUT_SOAK,
    lambda run: (soak(size, run) for size in run.sizes),
    Soak,
)
