"""Releases as a trainer publishes them, announced one after another to a worker under load."""

import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import cycle

import msgspec
import numpy as np
import onnx
import psutil
from onnx import numpy_helper

from artefacts.classifier import Classifier
from artefacts.graphs import Encoders
from artefacts.manifest import ENCODER, HEAD, Blob, Manifest
from artefacts.store import Store, new_release_id
from artefacts.tokenisation import Tokens
from bench.speed.load import Load, Trip
from bench.speed.models import loaded
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
SHARE, BURST = 0.5, 512
"""Of what a worker can answer, as so many listings that wait show it."""
NEW_ENCODER_EVERY = 10
_ENCODERS = 4  # more than a worker keeps in memory: each comes from its cache of files again
_BATCH = 16
_PATIENCE_SECONDS = 60


class Swapping:
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


def of_block(releases: int) -> tuple[int, int]:
    """How many of the releases of a block have the encoder that is there, and how many another one."""
    together = releases // BLOCKS
    others = max(1, together // NEW_ENCODER_EVERY)
    return together - others, others


def published(model: Model, count: int, texts: Sequence[str]) -> Iterator[Manifest]:
    """Publish releases as a trainer does: a head that has learned on, and now and then an encoder."""
    store, encoders = Store(f"file://{model.folder / 'store'}"), Encoders(capacity=_ENCODERS)
    base = model.imported.manifest
    others = cycle(
        [store.put(_other(model.imported.parts[ENCODER], seed)) for seed in range(_ENCODERS)]
    )
    of_heads, of_encoders = of_block(count)
    taught = Classifier.load(base, store.get, encoders)
    learner = LEARNERS["mixture"]()
    for label in base.labels:
        learner.add_class(label)
    encoder = base.blobs[ENCODER]
    for number in range(count):
        tokens = taught.tokenise([texts[(number * _BATCH + i) % len(texts)] for i in range(_BATCH)])
        learner.learn(_examples(taught, tokens), [ROOM_TYPES[i % 4] for i in range(_BATCH)])
        head = learner.head()
        if number % (of_heads + of_encoders) >= of_heads:
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
