"""
How fast both delivery engines move events without a model, beside plain aiokafka, in one run.

The plain way is at-least-once as a good user writes it: a batch from `getmany`, every send of it
confirmed, then the commit. The engines are those of production; what answers for the model makes one
small output per event. Every way reads the same topic in a process of its own. Rounds are interleaved
and each ratio is the median over the rounds, since machines are noisy: compare ratios, not seconds.

    make bench-delivery
    make bench-delivery ARGS="--bootstrap-servers kafka-1:9092 --events 200000 --json delivery.json"
"""

import argparse
import asyncio
import gc
import json
import multiprocessing
import statistics
import threading
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from kafka import KafkaProducer
from rich.console import Console
from rich.progress import track

from bench.brokers import kafka_node
from bench.machine import machine
from runtime.health import Health
from runtime.kafka import addresses, kafka_arguments
from runtime.records import Outbound, Record
from runtime.settings import KafkaSettings
from runtime.topics import create_topics
from runtime.watchdog import Watchdog
from schemas.topics import Topic
from workers.faust_delivery import MOST_EVENTS, FaustDelivery
from workers.metrics import WorkerMetrics
from workers.outcomes import Outcome, Window
from workers.settings import WorkerSettings
from workers.transactional_delivery import TransactionalDelivery

PLAIN = "plain aiokafka"
FAUST = "at-least-once (Faust)"
TRANSACTIONAL = "exactly-once (transactions)"
PARTITIONS = 4
SLOWEST_SECONDS = 300


@dataclass(frozen=True)
class Way:
    """
    What is measured.

    Attributes:
        name: Plain, or an engine.
        window: The most events of one window.
    """

    name: str
    window: int

    def __str__(self) -> str:
        return f"{self.name}, {self.window} a window"


@dataclass(frozen=True)
class Course:
    """
    Where it is measured.

    Attributes:
        servers: The brokers.
        prefix: Of topics that hold the events.
        events: How many there are.
    """

    servers: str
    prefix: str
    events: int

    @property
    def kafka(self) -> KafkaSettings:
        """How to reach the brokers."""
        return KafkaSettings(bootstrap_servers=self.servers)


@dataclass(frozen=True)
class Took:
    """
    What moving all events took.

    Attributes:
        seconds: By the clock on the wall.
        cpu_seconds: Of the process, all threads: others on the machine change it less.
    """

    seconds: float
    cpu_seconds: float

    @staticmethod
    def now() -> "Took":
        """Both clocks."""
        return Took(time.perf_counter(), time.process_time())

    def since(self, start: "Took") -> "Took":
        """The time between."""
        return Took(self.seconds - start.seconds, self.cpu_seconds - start.cpu_seconds)


class Stopwatch(WorkerMetrics):
    """The metrics of a worker that end it once so many events were delivered."""

    def __init__(self, events: int, stop: threading.Event) -> None:
        super().__init__()
        self._left, self._stop = events, stop
        self.started: Took | None = None
        self.took: Took | None = None

    def begin(self) -> None:
        """Start the clock with the first window."""
        self.started = self.started or Took.now()

    def count(self, window: Window, next_size: int) -> None:
        """Count a window that was delivered."""
        super().count(window, next_size)
        self._left -= len(window.outcomes)
        if self._left <= 0 and self.started and not self._stop.is_set():
            self.took = Took.now().since(self.started)
            self._stop.set()


def timed(way: Way, course: Course) -> Took:
    """Move all events once, as a group of its own; the time from the first window to the last."""
    gc.freeze()  # as a worker does
    if way.name == PLAIN:
        return asyncio.run(_plain(way, course))
    return _engine(way, course)


def _engine(way: Way, course: Course) -> Took:
    stop = threading.Event()
    metrics = Stopwatch(course.events, stop)
    engine = FaustDelivery if way.name == FAUST else TransactionalDelivery
    classified = Topic.CLASSIFIED.named(course.prefix)

    def answer(records: Sequence[Record]) -> Window:
        metrics.begin()
        return Window(
            outcomes=[
                Outcome(r, "classified", (Outbound(classified, r.key, r.value, r.headers),))
                for r in records
            ]
        )

    settings = WorkerSettings(group=_group(), slot=_group(), max_window=way.window)
    watchdog = Watchdog(SLOWEST_SECONDS)
    health = Health("partitions")
    engine(course.kafka, course.prefix, settings, answer, metrics, health, watchdog).run(stop)
    assert metrics.took, "this is a bug: the engine ended before its events"
    return metrics.took


async def _plain(way: Way, course: Course) -> Took:
    producer = AIOKafkaProducer(bootstrap_servers=addresses(course.kafka), acks="all")
    consumer = AIOKafkaConsumer(
        Topic.LISTINGS.named(course.prefix),
        bootstrap_servers=addresses(course.kafka),
        group_id=_group(),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    classified = Topic.CLASSIFIED.named(course.prefix)
    left, started = course.events, Took.now()
    async with producer, consumer:
        while left > 0:
            batches = await consumer.getmany(timeout_ms=200, max_records=way.window)
            if left == course.events:
                started = Took.now()
            sent = [
                await producer.send(classified, r.value, r.key, headers=r.headers)
                for batch in batches.values()
                for r in batch
            ]
            if sent:
                await asyncio.gather(*sent)
                await consumer.commit()
            left -= len(sent)
        return Took.now().since(started)


def _group() -> str:
    return f"bench-{uuid.uuid4().hex}"


def prepared(servers: str, events: int, payload_bytes: int) -> Course:
    """Make topics of our own and fill them."""
    course = Course(servers, f"bench-{uuid.uuid4().hex[:8]}.", events)
    create_topics(course.kafka, course.prefix, PARTITIONS, replication_factor=1)
    producer = KafkaProducer(**kafka_arguments(course.kafka), acks="all", linger_ms=20)
    for number in range(events):
        producer.send(
            Topic.LISTINGS.named(course.prefix),
            key=f"l-{number}".encode(),
            value=f"{number:x}".encode().ljust(payload_bytes, b"."),
        )
    producer.flush()
    producer.close()
    return course


def measured(ways: Sequence[Way], course: Course, rounds: int) -> dict[Way, list[Took]]:
    """The time of every round by way, interleaved, each in a fresh process; one round warms Kafka up."""
    times: dict[Way, list[Took]] = {way: [] for way in ways}
    console = Console(stderr=True)
    for number in track(range(rounds + 1), "Measuring", console=console, transient=True):
        for way in ways:
            fresh = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(1, mp_context=fresh) as process:
                own = process.submit(timed, way, course).result()
            if number:
                times[way].append(own)
    return times


def figures(times: dict[Way, list[Took]], events: int) -> dict[str, dict[str, float]]:
    """By way: speed as a share of the plain way's (median, least, most), and events a second."""
    (plain,) = (rounds for way, rounds in times.items() if way.name == PLAIN)
    found = {}
    for way, rounds in times.items():
        pairs = list(zip(plain, rounds, strict=True))
        shares = [base.seconds / own.seconds for base, own in pairs]
        found[str(way)] = {
            "share_of_plain": statistics.median(shares),
            "share_least": min(shares),
            "share_most": max(shares),
            "share_by_cpu": statistics.median(
                base.cpu_seconds / own.cpu_seconds for base, own in pairs
            ),
            "events_per_second": events / statistics.median(own.seconds for own in rounds),
        }
    return found


def markdown(found: dict[str, dict[str, float]], about: dict[str, str | int | float]) -> str:
    """A table to read and to paste, and what it was measured on."""
    lines = [
        "| | share of plain | spread | share by CPU time | events/s |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, row in found.items():
        lines.append(
            f"| {name} | {row['share_of_plain']:.2f} | {row['share_least']:.2f} to "
            f"{row['share_most']:.2f} | {row['share_by_cpu']:.2f} | {row['events_per_second']:,.0f} |"
        )
    return "\n".join([*lines, "", ", ".join(f"{key} {value}" for key, value in about.items())])


def main() -> None:
    """Measure, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(
        prog="make bench-delivery", description=__doc__.strip().splitlines()[0]
    )
    parser.add_argument("--bootstrap-servers", help="a Kafka; else one is started from KAFKA_HOME")
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--payload-bytes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--windows", type=int, nargs="+", default=[256, 2048])
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    ways = [
        Way(PLAIN, 2048),
        *(Way(TRANSACTIONAL, window) for window in given.windows),
        Way(FAUST, MOST_EVENTS),
    ]
    about: dict[str, str | int | float] = {
        "events": given.events,
        "bytes": given.payload_bytes,
        "rounds": given.rounds,
        **machine("kafka-python", "aiokafka", "faust-streaming", "crc32c"),
    }
    with kafka_node(given.bootstrap_servers) as servers:
        course = prepared(servers, given.events, given.payload_bytes)
        times = measured(ways, course, given.rounds)
    found = figures(times, given.events)
    Console(soft_wrap=True, highlight=False).print(markdown(found, about), markup=False)
    if given.json:
        given.json.write_text(json.dumps({"about": about, "figures": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
