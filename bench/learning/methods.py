"""What is compared: a method learns labels as they come, and answers at any time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from artefacts.graphs import Floats
from bench.learning.bases import Start
from bench.learning.encoding import RememberingEncoders
from bench.learning.finetuning import Step
from bench.learning.rows import Row
from bench.learning.streams import Stream
from runtime.settings import KafkaSettings


@dataclass
class Cost:
    """
    What learning took.

    Attributes:
        cpu_seconds: Of all threads, encoding included wherever it was remembered.
        waits: Seconds from the arrival of a label to answers that know it, without waiting for others.
        announced: Releases made.
        refused: Candidates refused.
        alarms: How many labels had come at each drift alarm.
    """

    cpu_seconds: float = 0.0
    waits: list[float] = field(default_factory=list)
    announced: int = 0
    refused: int = 0
    alarms: list[int] = field(default_factory=list)


class Method(Protocol):
    """
    A way to learn.

    Attributes:
        at_once: It takes everything at the end of the stream: a bound, not a way to learn a stream.
        cost: What it took so far.
    """

    at_once: bool
    cost: Cost

    def learn(self, rows: Sequence[Row]) -> None:
        """Learn a phase."""
        ...

    def predict(self, texts: Sequence[str]) -> list[str]:
        """Label each text."""
        ...


@dataclass
class Bench:
    """
    What the methods of one process share.

    Attributes:
        source: The model before anything was tuned.
        kafka: Where releases are announced.
        folder: For what is thrown away at the end.
        kept: For tuned encoders, which the next run takes again.
        step: Called with how many steps of fine-tuning are done, and how many there are.
        encoders: Remember features.
        joint: Log probabilities of the test by what was learned jointly, for streams of the same rows,
            and what they cost.
    """

    source: str
    kafka: KafkaSettings
    folder: Path
    kept: Path
    step: Step
    encoders: RememberingEncoders
    joint: dict[str, tuple[Floats, Cost]] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """
    One learning of a stream.

    Attributes:
        stream: What arrives.
        seed: Of all that is random.
        bench: What is shared.
        start: The encoder, tuned on the beginning of the stream.
    """

    stream: Stream
    seed: int
    bench: Bench
    start: Start


Maker = Callable[[Run], Method]


class Watch:
    """Measures a block: CPU and wall seconds, with what remembered features would have cost."""

    def __init__(self, encoders: RememberingEncoders) -> None:
        self._encoders = encoders

    def __enter__(self) -> "Watch":
        self._cpu, self._wall = time.process_time(), time.perf_counter()
        self._spared = self._encoders.spared.seconds
        return self

    def __exit__(self, *_: object) -> None:
        spared = self._encoders.spared.seconds - self._spared
        self.cpu_seconds = time.process_time() - self._cpu + spared
        self.wall_seconds = time.perf_counter() - self._wall + spared


def named(scores: Floats, classes: Sequence[str]) -> list[str]:
    """The class with the highest score of each row (rows, classes)."""
    return [classes[index] for index in np.argmax(scores, axis=1)]
