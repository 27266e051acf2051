"""Events to results on a real Kafka: our workers beside what people write today, two processes each."""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

import msgspec
import numpy as np
import psutil
from matplotlib.figure import Figure

from bench.speed.models import SIZES, Size
from bench.speed.parts import Aim, Part, Run, bars, spread, table
from bench.speed.rounds import Ratio
from bench.speed.serving import CEILING, alone
from bench.speed.stage import Model, Process, Stage
from roomstream.ports import reserved_port
from schemas.topics import Topic

TRANSACTIONAL = "roomstream, exactly-once"
FAUST = "roomstream, at-least-once (Faust)"
NAIVE = "Faust and a Hugging Face pipeline, batches of {}"
PROCESSES = 2
ANSWERING_SECONDS = 12
_FEWEST = 64
_FIRST, _LAST = 0.2, 0.9
_WARM_SHARE = 0.25  # windows have grown, and the brokers' code is compiled
_APART_SECONDS = 0.05  # no window is answered sooner
_SETTLE_SECONDS = 10  # a group that has met once more by then stays as it is


class Pace(msgspec.Struct, frozen=True):
    """
    How fast processes answered.

    Attributes:
        rate: Results a second, without the first and the last ones.
        own_seconds: Processor time of the processes for a result.
        other_seconds: Processor time of everything else on this machine for a result.
        together: Results that were written at once, on average: a window, where there is one process.
    """

    rate: float
    own_seconds: float
    other_seconds: float
    together: float


class Workers(msgspec.Struct, frozen=True):
    """
    What was measured with one model.

    Attributes:
        model: Its name.
        paces: By way and round.
    """

    model: str
    paces: dict[str, list[Pace]]

    @property
    def title(self) -> str:
        """The model."""
        return self.model

    def aims(self) -> list[Aim]:
        """Near ONNX Runtime alone, and several times what people write."""
        share = 0.95 if self.model == SIZES["base"].name else 0.90
        against = {
            f"worker, exactly-once, against ONNX Runtime alone, {self.model}": (share, CEILING),
            f"worker against the naive worker, batch 1, {self.model}": (5.0, NAIVE.format(1)),
            f"worker against the naive worker, batch 32, {self.model}": (2.5, NAIVE.format(32)),
        }
        return [
            Aim(what=what, aim=aim, better="more", found=self._against(TRANSACTIONAL, way))
            for what, (aim, way) in against.items()
        ]

    def table(self) -> str:
        """Every way, in shares of ONNX Runtime alone, and where the processor's time goes."""
        head = (
            self.model, "of ONNX Runtime alone", "of it, by the processes' own time",
            "exactly-once is so often as fast", "results/s", "CPU ms a result: the processes",
            "all else",
        )  # fmt: skip
        rows = [
            (
                way,
                spread(self._against(way, CEILING)),
                spread(self._by_own_time(way)),
                spread(self._against(TRANSACTIONAL, way)),
                f"{median(self._rates(way)):.0f}",
                f"{1000 * median(pace.own_seconds for pace in paces):.2f}",
                f"{1000 * median(pace.other_seconds for pace in paces):.2f}",
            )
            for way, paces in self.paces.items()
        ]
        return table(head, rows)

    def figure(self) -> Figure:
        """Every way as a bar."""
        ratios = {way: self._against(way, CEILING) for way in self.paces}
        return bars(f"{self.model}: speed, as a share of ONNX Runtime alone", ratios)

    def _against(self, way: str, other: str) -> Ratio:
        return Ratio.of(self._rates(way), self._rates(other))

    def _rates(self, way: str) -> list[float]:
        return [pace.rate for pace in self.paces[way]]

    def _by_own_time(self, way: str) -> Ratio:
        """As if brokers and reader had cores of their own."""
        least, found = ([pace.own_seconds for pace in self.paces[each]] for each in (CEILING, way))
        return Ratio.of(least, found)


def measure(size: Size, run: Run) -> Workers:
    """
    Measure all ways with a model of random weights.

    Args:
        size: Of the model.
        run: Of its texts as many are answered as `enough` says, a title an event; of these the naive
            workers answer a half or an eighth, which takes them as long.
    """
    servers = run.servers
    with tempfile.TemporaryDirectory(prefix="roomstream-bench-") as folder:
        model = Model.made(size, Path(folder))
        texts = enough(run, model)

        def ours(delivery: str) -> Pace:
            stage = Stage.made(model, servers)
            return answered(stage, stage.workers(delivery, PROCESSES), texts)

        def naive(batch: int, share: int) -> Pace:
            stage = Stage.made(model, servers)
            return answered(stage, _naive(stage, model, batch), texts[: len(texts) // share])

        def ceiling() -> Pace:
            found = alone(model.source, texts, PROCESSES)
            return Pace(found.rate, found.cpu_seconds, 0.0, len(texts))

        ways: dict[str, Callable[[], Pace]] = {
            CEILING: ceiling,
            TRANSACTIONAL: lambda: ours("exactly-once"),
            FAUST: lambda: ours("at-least-once"),
            NAIVE.format(32): lambda: naive(32, 2),
            NAIVE.format(1): lambda: naive(1, 8),
        }
        paces: dict[str, list[Pace]] = {name: [] for name in ways}
        for _ in range(run.rounds):
            for way, pace in ways.items():
                run.tick(f"{size.name}: {way}")
                paces[way].append(pace())
    return Workers(size.name, paces)


def enough(run: Run, model: Model) -> Sequence[str]:
    """As many texts as ONNX Runtime alone answers in some seconds on all cores."""
    rate = alone(model.source, run.texts, PROCESSES).rate
    return run.texts[: max(_FEWEST, int(rate * ANSWERING_SECONDS))]


def answered(stage: Stage, commands: Sequence[Sequence[str]], texts: Sequence[str]) -> Pace:
    """Let processes answer texts, once all of them have their share of the partitions."""
    warm = int(_WARM_SHARE * len(texts))
    with stage.running(commands) as processes:
        stage.send(texts[:warm])
        stage.results(warm, processes)
        time.sleep(_SETTLE_SECONDS)
        stage.send(texts[warm:])
        own, every = _own_seconds(processes), _every_second()
        written = stage.results(len(texts), processes)[warm:]
        own, every = _own_seconds(processes) - own, _every_second() - every
    first, last = int(_FIRST * len(written)), int(_LAST * len(written))
    # By a line through all of them: windows are written at once.
    rate = float(np.polyfit(written[first:last], range(first, last), 1)[0])
    windows = 1 + sum(later - sooner > _APART_SECONDS for sooner, later in pairwise(written))
    count = len(written)
    return Pace(rate, own / count, (every - own) / count, count / windows)


def _own_seconds(processes: Sequence[Process]) -> float:
    times = [psutil.Process(each.pid).cpu_times() for each in processes]
    return sum(each.user + each.system for each in times)


def _every_second() -> float:
    """Processor time that this machine has spent on anything."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def _naive(stage: Stage, model: Model, batch: int) -> list[list[str]]:
    commands = []
    for _ in range(PROCESSES):
        with reserved_port() as port:
            commands.append(
                [
                    sys.executable, "-m", "bench.speed.naive_worker", stage.kafka.bootstrap_servers,
                    stage.topic(Topic.LISTINGS), stage.topic(Topic.CLASSIFIED), model.source,
                    str(batch), str(port),
                ]
            )  # fmt: skip
    return commands


_ABOUT = """\
Events to results on a Kafka of one node on the same two cores: two processes of each worker, beside two
processes of ONNX Runtime alone, which has no Kafka beside it. *By the processes' own time* leaves out
what brokers, reader and system take of these cores, as if they had others. The naive worker is a Faust
agent that calls the pipeline, in the code that people write (`bench/speed/naive_worker.py`).
"""

PART = Part(
    "workers",
    _ABOUT,
    lambda run: (measure(size, run) for size in run.sizes),
    Workers,
)
