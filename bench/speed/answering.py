"""Processes that answer on Kafka, and ONNX Runtime alone: both are warm, and wait for their turn."""

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import cycle, islice
from typing import Any, Self

import msgspec
import numpy as np
import psutil
from numpy.typing import NDArray

from bench.speed.models import loaded
from bench.speed.serving import MOST_TEXTS, ceiling
from bench.speed.stage import Process, Stage, results_written
from roomstream.demo.readings import scrape
from roomstream.reading import TopicReader
from trainer.base_import import import_base

ALONE_SECONDS = 3
WARM_SECONDS, ANSWERING_SECONDS = 6, 30
_FEWEST = 32
_FIRST, _LAST = 0.15, 0.6  # a backlog that drains makes windows small: a standing one is measured
_BACKGROUND_SECONDS = 5
_COUNTED_SECONDS = 0.5  # a window is counted right after its results can be read
_SECONDS = "roomstream_worker_stage_duration_seconds_sum"
_WINDOWS = "roomstream_worker_stage_duration_seconds_count"
_TOKENS = "roomstream_worker_tokens_total"
_SETTLE_SECONDS = 10  # a group that has met once more by then stays as it is


class Pace(msgspec.Struct, frozen=True):
    """
    How fast processes answered.

    Attributes:
        rate: Results a second, without the first and the last ones.
        own_seconds: Processor time of the processes for a result.
        other_seconds: Processor time of brokers and system for a result.
        here_seconds: The same of the process that sends and reads.
        work: What our workers say that they did; None of others.
    """

    rate: float
    own_seconds: float
    other_seconds: float = 0.0
    here_seconds: float = 0.0
    work: "Work | None" = None


class Work(msgspec.Struct, frozen=True):
    """
    What workers say of the windows that they answered.

    Attributes:
        stages: Seconds of each stage for a result, by the clock of the wall.
        titles: Results of a window, on average.
        padding: Tokens that were run, over those of titles.
    """

    stages: dict[str, float]
    titles: float
    padding: float


class Alone:
    """
    ONNX Runtime in processes of one thread that have nothing else to do. A context manager.

    Args:
        source: The folder of a model.
        texts: What each answers again and again.
        processes: How many.
    """

    def __init__(self, source: str, texts: Sequence[str], processes: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._processes = processes
        self._pool = ProcessPoolExecutor(
            processes, spawn, _begin, (source, list(texts[:MOST_TEXTS]), spawn.Barrier(processes))
        )
        self.pace()  # all have begun

    def pace(self) -> Pace:
        """Answer for some seconds, all at the same time."""
        runs = [self._pool.submit(_answer) for _ in range(self._processes)]
        found = [run.result() for run in runs]
        seconds = sum(each.own_seconds for each in found) / len(found)
        return Pace(sum(each.rate for each in found), seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()


_own: dict[str, Any] = {}  # of a process of `Alone`


def _begin(source: str, texts: Sequence[str], together: Any) -> None:
    _own["run"] = ceiling(loaded(import_base(source)), texts)
    _own["texts"], _own["together"] = len(texts), together
    _own["run"]()


def _answer() -> Pace:
    run: Callable[[], None] = _own["run"]
    _own["together"].wait()  # so no process takes the part of another one
    answered, started, cpu = 0, time.perf_counter(), time.process_time()
    while (seconds := time.perf_counter() - started) < ALONE_SECONDS:
        run()
        answered += _own["texts"]
    return Pace(answered / seconds, (time.process_time() - cpu) / answered)


class Answering:
    """
    Workers that have their share of the partitions.

    Args:
        stage: Where they answer.
        processes: They.
        reader: Reads results there.
        texts: What they are sent, again and again.
        ports: Where our workers show their metrics.
    """

    def __init__(
        self,
        stage: Stage,
        processes: Sequence[Process],
        reader: TopicReader,
        texts: Sequence[str],
        ports: Sequence[int] = (),
    ) -> None:
        self._stage = stage
        self._processes = processes
        self._reader = reader
        self._ports = ports
        self._texts = cycle(texts)
        self._rate = 0.0

    def warm(self, rate: float) -> None:
        """Answer for some seconds, at about this rate, until windows have grown and code is compiled."""
        self._answered(max(_FEWEST, int(WARM_SECONDS / 2 * rate)))
        time.sleep(_SETTLE_SECONDS)
        self._rate = self._answered(max(_FEWEST, int(WARM_SECONDS * rate))).rate

    def pace(self) -> Pace:
        """Answer for some seconds."""
        pace = self._answered(max(_FEWEST, int(ANSWERING_SECONDS * self._rate)))
        self._rate = pace.rate
        return pace

    def _answered(self, count: int) -> Pace:
        before, counted = self._seconds(), self._counted()
        listings = self._stage.send(list(islice(self._texts, count)))
        written = results_written(self._reader, listings, self._processes)
        own, here, every = ((self._seconds() - before) / count).tolist()
        first, last = int(_FIRST * count), int(_LAST * count)
        # By a line through all of them: windows are written at once.
        rate = float(np.polyfit(written[first:last], range(first, last), 1)[0])
        work = self._work(counted, count) if self._ports else None
        return Pace(rate, own, every - own - here, here, work)

    def _work(self, before: Counter[tuple[str, str]], count: int) -> Work:
        time.sleep(_COUNTED_SECONDS)
        done = self._counted()
        done.subtract(before)
        seconds = {
            stage: value / count for (name, stage), value in done.items() if name == _SECONDS
        }
        padding = done[_TOKENS, "padded"] / done[_TOKENS, "real"]
        return Work(seconds, count / done[_WINDOWS, "infer"], padding)

    def _counted(self) -> Counter[tuple[str, str]]:
        """What our workers have counted since they began, all together, by name and first label."""
        total: Counter[tuple[str, str]] = Counter()
        for port in self._ports:
            for (name, labels), value in scrape(port).items():
                if name in (_SECONDS, _WINDOWS, _TOKENS):
                    total[name, labels[0]] += value  # type: ignore[assignment]
        return total

    def _seconds(self) -> NDArray[np.float64]:
        """Processor time of the workers, of this process, and of everything on this machine."""
        times = [psutil.Process(each.pid).cpu_times() for each in self._processes]
        own = sum(each.user + each.system for each in times)
        return np.array([own, time.process_time(), _taken_seconds()])


def background_cores() -> float:
    """How many cores all that runs here takes while nobody answers."""
    began, before = time.monotonic(), _taken_seconds()
    time.sleep(_BACKGROUND_SECONDS)
    return (_taken_seconds() - before) / (time.monotonic() - began)


def _taken_seconds() -> float:
    """Processor time of everything on this machine."""
    every = psutil.cpu_times()
    return float(every.user + every.nice + every.system + every.irq + every.softirq)


@contextmanager
def answering(
    stage: Stage,
    commands: Sequence[Sequence[str]],
    texts: Sequence[str],
    rate: float,
    ports: Sequence[int] = (),
) -> Iterator[Answering]:
    """
    Run workers for as long as the block lasts.

    Args:
        stage: Where they answer.
        commands: One for each.
        texts: What they are sent, again and again.
        rate: About how many results a second to expect of them.
        ports: Where our workers show their metrics.
    """
    with stage.running(commands) as processes, stage.results_reader() as reader:
        workers = Answering(stage, processes, reader, texts, ports)
        workers.warm(rate)
        yield workers
