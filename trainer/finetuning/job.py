"""
The folder by which the trainer and the process that fine-tunes speak: one writes, the other reads.

The trainer writes what is to be done, `job.json` last; the process writes how far it is, and in the end
what came of it, `result.json` last. Each file appears whole or not at all, so that either side may be
killed at any moment.
"""

import io
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from artefacts.graphs import Floats
from artefacts.manifest import FineTuning
from artefacts.store import write_atomically
from artefacts.tokenisation import Tokens

_JOB, _EXAMPLES, _WEIGHTS, _PROGRESS = "job.json", "examples.npz", "weights", "progress.json"
_ENCODER, _FEATURES, _RESULT, _TUNED = "encoder.onnx", "features.npy", "result.json", "tuned"

_T = TypeVar("_T")


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """
    What to do.

    Attributes:
        name: Tells it from others.
        why: What asked for it.
        counts: How many labels of each class the stream had, in the order of the examples' labels.
        steps: The most mini-batches to learn.
        seed: Of the draws and of dropout.
        threads: Of the process.
        int8_loss: What the encoder may lose in 8-bit integers; None if it stays in 32-bit floats.
    """

    name: str
    why: str
    counts: list[int]
    steps: int
    seed: int
    threads: int
    int8_loss: float | None = None


@dataclass(frozen=True)
class Listings:
    """
    What there is to learn from and to encode.

    Attributes:
        ids: The listings.
        seqs: Their labels' numbers: another label of a listing, perhaps another text, has another one.
        tokens: The token ids of each text.
        labels: int64 (listings,): their classes; -1: held out, never learned.
        stored: float32 (listings, classes): the logits of the learner when it met them; not a number
            for classes that had no example then, and where nothing was stored.
        validation: bool (listings,): not learned, but decides when to stop.
    """

    ids: list[str]
    seqs: list[int]
    tokens: list[list[int]]
    labels: NDArray[np.int64]
    stored: Floats
    validation: NDArray[np.bool_]

    @property
    def texts(self) -> list[Tokens]:
        """The tokens as the encoder takes them."""
        return [Tokens(ids, truncated=False) for ids in self.tokens]


class Progress(msgspec.Struct, frozen=True):
    """
    How far it is.

    Attributes:
        run: When the process began, in ns since 1970: a job that was killed goes on in another one.
        step: Mini-batches learned.
        training: The last measured loss on what it learns; not a number before the first.
        validation: The same on what it does not learn.
        cpu_seconds: What this process has taken.
    """

    run: int
    step: int
    training: float | None
    validation: float | None
    cpu_seconds: float


@dataclass(frozen=True)
class Result:
    """
    What came of it.

    Attributes:
        encoder: The graph.
        weights: What it can be fine-tuned from again.
        figures: How it went.
        features: What it makes of the job's listings, float32 (listings, dim).
    """

    encoder: bytes
    weights: bytes
    figures: FineTuning
    features: Floats


class JobFolder:
    """
    The folder of the job that goes on.

    Args:
        path: Where it is. Nothing else is in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint = path / "checkpoint.pt"

    def begin(self, job: Job, listings: Listings, weights: bytes) -> None:
        """Write a job in the place of the one before."""
        self.remove()
        write_atomically(self.path / _WEIGHTS, weights)
        write_atomically(self.path / _EXAMPLES, _packed(listings))
        write_atomically(self.path / _JOB, msgspec.json.encode(job))

    def job(self) -> Job | None:
        """What to do; None if it was not written to its end."""
        return self._read(_JOB, Job)

    def listings(self) -> Listings:
        """What there is to learn from."""
        return _unpacked((self.path / _EXAMPLES).read_bytes())

    def seqs(self) -> list[int]:
        """The numbers of the labels of all that there is to learn from."""
        with np.load(self.path / _EXAMPLES, allow_pickle=False) as file:
            found: list[int] = file["seqs"].tolist()
        return found

    def weights(self) -> bytes:
        """The weights to begin with."""
        return (self.path / _WEIGHTS).read_bytes()

    def tell(self, progress: Progress) -> None:
        """Say how far it is."""
        write_atomically(self.path / _PROGRESS, msgspec.json.encode(progress))

    def progress(self) -> Progress | None:
        """How far it is, if it has begun."""
        return self._read(_PROGRESS, Progress)

    def finish(self, result: Result) -> None:
        """Say what came of it."""
        features = io.BytesIO()
        np.save(features, result.features, allow_pickle=False)
        write_atomically(self.path / _ENCODER, result.encoder)
        write_atomically(self.path / _TUNED, result.weights)
        write_atomically(self.path / _FEATURES, features.getvalue())
        write_atomically(self.path / _RESULT, msgspec.json.encode(result.figures))

    @property
    def finished(self) -> bool:
        """Whether it is done."""
        return (self.path / _RESULT).exists()

    def result(self) -> Result:
        """What came of it, once it is done."""
        return Result(
            (self.path / _ENCODER).read_bytes(),
            (self.path / _TUNED).read_bytes(),
            msgspec.json.decode((self.path / _RESULT).read_bytes(), type=FineTuning),
            np.load(self.path / _FEATURES, allow_pickle=False),
        )

    def remove(self) -> None:
        """Leave nothing of it."""
        (self.path / _JOB).unlink(missing_ok=True)  # first: half a job is none
        shutil.rmtree(self.path, ignore_errors=True)

    def _read(self, name: str, kind: type[_T]) -> _T | None:
        try:
            return msgspec.json.decode((self.path / name).read_bytes(), type=kind)
        except FileNotFoundError:
            return None


def _packed(listings: Listings) -> bytes:
    file = io.BytesIO()
    np.savez(
        file,
        ids=np.frombuffer(msgspec.json.encode(listings.ids), np.uint8),
        seqs=np.array(listings.seqs, np.int64),
        tokens=np.array([each for ids in listings.tokens for each in ids], np.int64),
        lengths=np.array([len(ids) for ids in listings.tokens], np.int64),
        labels=listings.labels,
        stored=listings.stored,
        validation=listings.validation,
    )
    return file.getvalue()


def _unpacked(data: bytes) -> Listings:
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        ends = np.cumsum(file["lengths"])
        rows = np.split(file["tokens"], ends[:-1])
        return Listings(
            ids=msgspec.json.decode(file["ids"].tobytes(), type=list[str]),
            seqs=file["seqs"].tolist(),
            tokens=[row.tolist() for row in rows],
            labels=file["labels"],
            stored=file["stored"],
            validation=file["validation"],
        )
