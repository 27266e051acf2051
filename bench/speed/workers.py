"""Events to results on a real Kafka: our workers beside what people write today, two processes each."""

import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import msgspec

from bench.speed.models import Size
from bench.speed.rounds import Ratio, Tick
from bench.speed.serving import CEILING, raw_rate
from bench.speed.stage import Model, Stage
from roomstream.ports import reserved_port
from schemas.topics import Topic

TRANSACTIONAL = "roomstream, exactly-once"
FAUST = "roomstream, at-least-once (Faust)"
NAIVE = "Faust and a Hugging Face pipeline, batches of {}"
PROCESSES = 2
_FIRST, _LAST = 0.2, 0.9
_WARM_TEXTS = 64
_SETTLE_SECONDS = 10  # a group that has met once more by then stays as it is


class Workers(msgspec.Struct, frozen=True):
    """
    What was measured with one model.

    Attributes:
        model: Its name.
        rates: Results a second of all processes together, by way and round.
    """

    model: str
    rates: dict[str, list[float]]

    @property
    def ways(self) -> list[str]:
        """What was compared."""
        return list(self.rates)

    def against_ceiling(self, way: str) -> Ratio:
        """How fast a way is, as a share of ONNX Runtime alone."""
        return Ratio.of(self.rates[way], self.rates[CEILING])


def measure(size: Size, texts: Sequence[str], rounds: int, servers: str, tick: Tick) -> Workers:
    """
    Measure all ways with a model of random weights.

    Args:
        size: Of the model.
        texts: What is answered, a title an event; the naive workers answer a quarter of them.
        rounds: How often.
        servers: The brokers.
        tick: Is told what runs.
    """
    with tempfile.TemporaryDirectory(prefix="roomstream-bench-") as folder:
        model = Model.made(size, Path(folder))
        few = texts[: len(texts) // 4]

        def ours(delivery: str) -> float:
            stage = Stage.made(model, servers)
            return _rate(stage, stage.workers(delivery, PROCESSES), texts)

        def naive(batch: int) -> float:
            stage = Stage.made(model, servers)
            return _rate(stage, _naive(stage, model, batch), few)

        ways: dict[str, Callable[[], float]] = {
            CEILING: lambda: _ceiling(model.source, texts),
            TRANSACTIONAL: lambda: ours("exactly-once"),
            FAUST: lambda: ours("at-least-once"),
            NAIVE.format(32): lambda: naive(32),
            NAIVE.format(1): lambda: naive(1),
        }
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for way, run in ways.items():
                tick(f"{size.name}: {way}")
                rates[way].append(run())
    return Workers(size.name, rates)


def _rate(stage: Stage, commands: Sequence[Sequence[str]], texts: Sequence[str]) -> float:
    """Results a second once all processes have their share, without the first and last windows."""
    with stage.running(commands) as processes:
        stage.send(texts[:_WARM_TEXTS])
        stage.results(_WARM_TEXTS, processes)
        time.sleep(_SETTLE_SECONDS)
        stage.send(texts[_WARM_TEXTS:])
        written = stage.results(len(texts), processes)[_WARM_TEXTS:]
    first, last = int(_FIRST * len(written)), int(_LAST * len(written))
    return (last - first) / (written[last] - written[first])


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


def _ceiling(source: str, texts: Sequence[str]) -> float:
    """Texts a second of as many processes at once, each with the same texts."""
    spawn = multiprocessing.get_context("spawn")
    with spawn.Manager() as manager, ProcessPoolExecutor(PROCESSES, mp_context=spawn) as pool:
        together = manager.Barrier(PROCESSES)
        runs = [pool.submit(raw_rate, source, texts, together) for _ in range(PROCESSES)]
        return sum(run.result() for run in runs)
