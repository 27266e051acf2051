"""Events to results on a real Kafka: our workers beside what people write today, two processes each."""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import msgspec
from kafka import KafkaProducer

from artefacts.manifest import Manifest
from artefacts.store import Store
from bench.speed.models import Size, saved
from bench.speed.rounds import Ratio, Tick
from bench.speed.serving import raw_rate
from roomstream.listings import Listing, listing_message
from roomstream.live import make_live
from roomstream.ports import reserved_port
from roomstream.reading import TopicReader
from runtime.kafka import kafka_arguments
from runtime.settings import KafkaSettings, SharedSettings, load, settings_environment
from runtime.topics import create_topics
from schemas.errors import TryAgain
from schemas.topics import Topic
from trainer.base_import import import_base

CEILING = "ONNX Runtime alone, sorted inputs ready"
TRANSACTIONAL = "roomstream, exactly-once"
FAUST = "roomstream, at-least-once (Faust)"
NAIVE = "Faust and a Hugging Face pipeline, batches of {}"
PROCESSES = 2
PARTITIONS = 4
_PATIENCE_SECONDS = 180
_FIRST, _LAST = 0.2, 0.9


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


@dataclass(frozen=True)
class Stage:
    """
    Topics of their own with events to answer.

    Attributes:
        kafka: The brokers.
        shared: Where the release is, and what the topics are called.
        model: The folder of the model.
    """

    kafka: KafkaSettings
    shared: SharedSettings
    model: Path


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
    ways: dict[str, Callable[[Stage], float]] = {
        TRANSACTIONAL: lambda stage: _rate(stage, _ours(stage, "exactly-once"), texts),
        FAUST: lambda stage: _rate(stage, _ours(stage, "at-least-once"), texts),
        NAIVE.format(32): lambda stage: _rate(stage, _naive(stage, 32), texts[: len(texts) // 4]),
        NAIVE.format(1): lambda stage: _rate(stage, _naive(stage, 1), texts[: len(texts) // 4]),
    }
    rates: dict[str, list[float]] = {name: [] for name in (CEILING, *ways)}
    with tempfile.TemporaryDirectory(prefix="roomstream-bench-") as name:
        folder = Path(name)
        model = saved(size, folder / "model")
        store = Store(f"file://{folder / 'store'}")
        imported = import_base(str(model))
        imported.publish(store)
        for _ in range(rounds):
            tick(f"{size.name}: {CEILING}")
            rates[CEILING].append(_ceiling(model, texts))
            for way, run in ways.items():
                tick(f"{size.name}: {way}")
                rates[way].append(run(_stage(folder, model, imported.manifest, servers)))
    return Workers(size.name, rates)


def _stage(folder: Path, model: Path, manifest: Manifest, servers: str) -> Stage:
    kafka = load(KafkaSettings, bootstrap_servers=servers)
    shared = load(
        SharedSettings,
        store=f"file://{folder / 'store'}",
        cache=folder / "cache",
        topic_prefix=f"bench-{uuid.uuid4().hex[:8]}.",
        log_level="ERROR",
    )
    create_topics(kafka, shared.topic_prefix, PARTITIONS, replication_factor=1)
    make_live(kafka, shared, manifest.release, "the benchmark begins")
    return Stage(kafka, shared, model)


def _rate(stage: Stage, commands: Sequence[Sequence[str]], texts: Sequence[str]) -> float:
    """Results a second, from the first fifth to nine tenths of all: start and last window left out."""
    _send(stage, texts)
    with tempfile.TemporaryFile() as log, _running(stage, commands, log) as processes:
        try:
            written = sorted(_written(stage, len(texts), processes))
        except TryAgain as error:
            log.seek(0)
            raise TryAgain(f"{error}\n{log.read().decode()[-2_000:]}") from error
    first, last = int(_FIRST * len(written)), int(_LAST * len(written))
    return (last - first) / (written[last] - written[first])


def _send(stage: Stage, texts: Sequence[str]) -> None:
    producer = KafkaProducer(**kafka_arguments(stage.kafka), acks="all", linger_ms=20)
    topic = Topic.LISTINGS.named(stage.shared.topic_prefix)
    for number, text in enumerate(texts):
        listing = Listing(f"l-{number}", text)
        message = listing_message(listing, f"e-{number}", datetime.now(UTC))
        producer.send(topic, key=message.key, value=message.value, headers=list(message.headers))
    producer.flush()
    producer.close()


def _written(
    stage: Stage, count: int, processes: Sequence["subprocess.Popen[bytes]"]
) -> list[float]:
    """When each result was written, in seconds."""
    found: list[float] = []
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    with TopicReader(stage.kafka, stage.shared.topic_prefix, Topic.CLASSIFIED) as reader:
        while len(found) < count:
            found += [record.timestamp_ms / 1000 for record in reader.poll(0.5)]
            ended = [each.args for each in processes if each.poll() is not None]
            if ended or time.monotonic() > give_up_at:
                raise TryAgain(
                    f"{len(found)} of {count} results came; of the workers, {len(ended)} have ended."
                )
    return found


@contextmanager
def _running(
    stage: Stage, commands: Sequence[Sequence[str]], log: IO[bytes]
) -> Iterator[list["subprocess.Popen[bytes]"]]:
    environment = {
        **os.environ,
        **settings_environment(stage.kafka),
        **settings_environment(stage.shared),
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    processes = [
        subprocess.Popen(command, env=environment, stdout=log, stderr=log) for command in commands
    ]
    try:
        yield processes
    finally:
        for each in processes:
            each.send_signal(signal.SIGTERM)
        for each in processes:
            try:
                each.wait(30)
            except subprocess.TimeoutExpired:
                each.kill()
                each.wait()


def _ours(stage: Stage, delivery: str) -> list[list[str]]:
    group = stage.shared.topic_prefix
    start = [sys.executable, "-P", "-m", "roomstream", "worker", "--delivery", delivery]
    return [
        [*start, "--group", group, "--slot", f"{group}{number}", "--metrics-port", "0"]
        for number in range(PROCESSES)
    ]


def _naive(stage: Stage, batch: int) -> list[list[str]]:
    prefix = stage.shared.topic_prefix
    topics = Topic.LISTINGS.named(prefix), Topic.CLASSIFIED.named(prefix)
    commands = []
    for _ in range(PROCESSES):
        with reserved_port() as port:
            commands.append(
                [
                    sys.executable, "-m", "bench.speed.naive_worker", stage.kafka.bootstrap_servers,
                    *topics, str(stage.model), str(batch), str(port),
                ]
            )  # fmt: skip
    return commands


def _ceiling(model: Path, texts: Sequence[str]) -> float:
    """Texts a second of as many processes at once, each with all texts."""
    spawn = multiprocessing.get_context("spawn")
    with spawn.Manager() as manager, ProcessPoolExecutor(PROCESSES, mp_context=spawn) as pool:
        together = manager.Barrier(PROCESSES)
        runs = [pool.submit(raw_rate, str(model), texts, together) for _ in range(PROCESSES)]
        return sum(run.result() for run in runs)
