"""Listings that come at a rate, whatever becomes of those before, and when each was answered."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import NamedTuple

import numpy as np

from bench.speed.stage import Process, Stage
from roomstream.reading import TopicReader
from schemas.codec import decode
from schemas.errors import TryAgain
from schemas.events import Classification
from schemas.topics import Topic

_PATIENCE_SECONDS = 120
PERCENTILES = (50, 99, 99.9)


class Trip(NamedTuple):
    """
    When a listing got where, in seconds since 1970.

    Attributes:
        due: It was to be produced: a producer that is late counts against us.
        window: Its window was begun.
        written: Its result was produced.
        read: A consumer that reads what is committed had the result.
    """

    due: float
    window: float
    written: float
    read: float


@dataclass
class Load:
    """
    Arrivals at random times, as from many independent producers (a Poisson process).

    Attributes:
        stage: Where to.
        reader: Reads results there.
        texts: Titles, in turn, again and again.
        workers: They answer.
        answered_by: Is told the release of every result.
        total: How many listings were sent.
    """

    stage: Stage
    reader: TopicReader
    texts: Sequence[str]
    workers: Sequence[Process]
    answered_by: Callable[[str], None] = lambda _: None
    total: int = 0
    _due: dict[str, float] = field(default_factory=dict)

    def capacity(self, count: int) -> float:
        """Results a second when so many listings wait, without the first and the last."""
        with self.stage.sender() as send:
            for text in self._next_texts(count):
                self._send(send, text, time.time())
        written = sorted(trip.written for trip in self._read(lambda: True))
        first, last = count // 5, count * 9 // 10
        return (last - first) / (written[last] - written[first])

    def run(self, rate: float, going_on: Callable[[], bool]) -> list[Trip]:
        """
        Send listings at a rate while it goes on, and wait for all results.

        Raises:
            TryAgain: A worker has ended, or results do not come.
        """
        ended = threading.Event()
        sender = threading.Thread(target=self._produce, args=(rate, going_on, ended))
        sender.start()
        try:
            return self._read(ended.is_set)
        finally:
            ended.wait(_PATIENCE_SECONDS)
            sender.join()

    def _produce(self, rate: float, going_on: Callable[[], bool], ended: threading.Event) -> None:
        chance, due = random.Random(self.total), time.time()  # noqa: S311 - no secret
        try:
            with self.stage.sender() as send:
                for text in cycle(self.texts):
                    due += chance.expovariate(rate)
                    time.sleep(max(0.0, due - time.time()))
                    if not going_on():
                        break
                    self._send(send, text, due)
        finally:
            ended.set()

    def _send(self, send: Callable[[str, str], None], text: str, due: float) -> None:
        event_id = f"e-{self.total}"
        self.total += 1
        self._due[event_id] = due
        send(event_id, text)

    def _next_texts(self, count: int) -> list[str]:
        return [text for text, _ in zip(cycle(self.texts), range(count), strict=False)]

    def _read(self, all_sent: Callable[[], bool]) -> list[Trip]:
        trips: list[Trip] = []
        last = time.monotonic()
        while self._due or not all_sent():
            for record in self.reader.poll(0.2):
                last, now = time.monotonic(), time.time()
                answer = decode(Topic.CLASSIFIED, record.value or b"", record.headers)
                assert isinstance(answer, Classification), f"no classification: {answer}"
                due = self._due.pop(answer.event_id, None)
                self.answered_by(answer.release)
                if due is not None:
                    window = answer.classified_at.timestamp()
                    trips.append(Trip(due, window, record.timestamp_ms / 1000, now))
            if time.monotonic() - last > _PATIENCE_SECONDS or any(
                each.poll() is not None for each in self.workers
            ):
                raise TryAgain(f"{len(self._due)} results did not come, or a worker has ended.")
        return trips


def percentiles(trips: Sequence[Trip]) -> dict[str, list[float]]:
    """Milliseconds to each of `PERCENTILES`, of the whole way and of its stages."""
    due, window, written, read = 1000 * np.array(trips).T
    stages = {
        "all": read - due,
        "to its window": window - due,
        "answered": written - window,
        "committed and read": read - written,
    }
    return {name: np.percentile(found, PERCENTILES).tolist() for name, found in stages.items()}


def lasting(seconds: float) -> Callable[[], bool]:
    """Whether so many seconds from now are not over."""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() < until
