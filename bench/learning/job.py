"""One job of the benchmark: every method on streams of the same rows, with one seed."""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.learning import streams
from bench.learning.bases import tuned
from bench.learning.encoding import RememberingEncoders
from bench.learning.methods import Bench, Run
from bench.learning.results import Result, result
from bench.learning.scores import scores
from bench.learning.streams import Size, Stream
from bench.learning.table import METHODS
from runtime.settings import KafkaSettings


@dataclass(frozen=True)
class Plan:
    """
    What is run.

    Attributes:
        data: The folder of listings.
        files: Files of it that arrive in turn; none: the standard streams.
        csv: A class-incremental CSV instead.
        size: How much.
        methods: Names of rows of the table.
        source: The model before anything was tuned.
        servers: The brokers where releases are announced.
        kept: For tuned encoders.
        deadline: When to stop, as of `time.time()`.
        done: Stream, method and seed of what an earlier run has found.
    """

    data: Path
    files: tuple[str, ...]
    csv: Path | None
    size: Size
    methods: tuple[str, ...]
    source: str
    servers: str
    kept: Path
    deadline: float
    done: frozenset[tuple[str, str, int]] = frozenset()

    def streams(self, seed: int) -> list[tuple[Stream, ...]]:
        """
        Make the streams, those of the same rows together.

        Raises:
            ConfigurationError: A file is missing or wrong.
        """
        if self.csv:
            return [(streams.of_tasks(self.csv, self.size, seed),)]
        if self.files:
            return [(streams.of_files(self.data, self.files, self.size, seed),)]
        return streams.standard(self.data, self.size, seed)

    def wants(self, stream: Stream, method: str, seed: int) -> bool:
        """Whether a method is run on a stream with a seed."""
        return METHODS[method].is_for(stream.name) and (stream.name, method, seed) not in self.done


@dataclass(frozen=True)
class Doing:
    """What a job does now; `share` in [0, 1] of it is done."""

    group: int
    seed: int
    what: str
    share: float


@dataclass(frozen=True)
class LeftOut:
    """A run for which there was no time."""

    stream: str
    method: str
    seed: int


News = Doing | LeftOut | Result
Tell = Callable[[News], None]


class OutOfTime(Exception):
    """The deadline has passed."""


def run_job(plan: Plan, group: int, seed: int, tell: Tell) -> None:
    """
    Run one job, and tell what it does and finds.

    Args:
        plan: What is run.
        group: Which streams of `plan.streams`.
        seed: Of everything random.
        tell: Takes the news.
    """
    with tempfile.TemporaryDirectory(prefix="roomstream-learning-") as folder:
        kafka = KafkaSettings(bootstrap_servers=plan.servers)
        encoders = RememberingEncoders(time.process_time)
        what = ""

        def step(done: int, of: int) -> None:
            if time.time() > plan.deadline:
                raise OutOfTime
            tell(Doing(group, seed, what, done / of))

        bench = Bench(plan.source, kafka, Path(folder), plan.kept, step, encoders)
        for stream in plan.streams(seed)[group]:
            for name in plan.methods:
                if not plan.wants(stream, name, seed):
                    continue
                what = f"{stream.name}: {METHODS[name].title}"
                tell(Doing(group, seed, what, 0))
                try:
                    step(0, 1)
                    tell(_run(bench, stream, name, seed))
                except OutOfTime:
                    tell(LeftOut(stream.name, name, seed))


def _run(bench: Bench, stream: Stream, name: str, seed: int) -> Result:
    start = tuned(bench.source, stream.begin, stream.classes, seed, bench.kept, bench.step)
    method = METHODS[name].make(Run(stream, seed, bench, start))
    phases = stream.phases
    if method.at_once:
        phases = [replace(phases[-1], rows=stream.rows)]
    texts = [row.text for row in stream.test]
    labels, said, count = [], [], 0
    for phase in phases:
        method.learn(phase.rows)
        count += len(phase.rows)
        labels.append(count)
        said.append(method.predict(texts))
    names = [phase.name for phase in phases]
    return result((stream.name, name), seed, scores(stream, labels, said), names, method.cost)


def jobs(groups: int, seeds: Sequence[int]) -> list[tuple[int, int]]:
    """Group and seed of each job: every seed of the first streams before the next streams."""
    return [(group, seed) for group in range(groups) for seed in seeds]
