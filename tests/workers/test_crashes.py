"""Workers that are killed, stopped and cut off in mid traffic: nothing is lost, little is repeated."""

import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from artefacts.store import Store
from roomstream.brokers import KafkaNode
from roomstream.live import make_live
from runtime.health import Health
from runtime.settings import KafkaSettings, SharedSettings
from runtime.topics import create_topics
from runtime.watchdog import Watchdog
from schemas.errors import ExitCode, TryAgain
from tests.conftest import KAFKA_HOME
from tests.kafka_io import send
from tests.processes import eventually, own_port
from tests.releases import tiny_release
from tests.workers.brokers import ON_KAFKA
from tests.workers.listings import lag, listings
from tests.workers.processes import Fleet, WorkerProcess
from tests.workers.traffic import Traffic, repeats
from workers.faust_delivery import FaustDelivery
from workers.metrics import WorkerMetrics
from workers.outcomes import Window
from workers.settings import WorkerSettings

WINDOW = 16


@ON_KAFKA
@pytest.mark.usefixtures("live")
def test_killed_workers_lose_nothing_and_repeat_one_window_each(
    fleet: Fleet, kafka_settings: KafkaSettings, topics: str
) -> None:
    """Two workers under traffic, one of them killed again and again at a random moment."""
    chance, kills = random.Random(5), 2
    running = [fleet.start(ready=False, WORKER_MAX_WINDOW=str(WINDOW)) for _ in range(2)]
    eventually(lambda: all(worker.ready() for worker in running), "both are ready", 40)
    traffic = Traffic(kafka_settings, topics)
    with traffic.flowing():
        for kill in range(kills):
            time.sleep(chance.uniform(0.5, 1.5))
            running[kill % 2].process.kill()
            running[kill % 2] = fleet.start(WORKER_MAX_WINDOW=str(WINDOW))

    assert repeats(kafka_settings, topics, traffic.places) <= kills * WINDOW
    assert [worker.stop() for worker in running] == [ExitCode.DONE, ExitCode.DONE]


@ON_KAFKA
@pytest.mark.usefixtures("live")
def test_a_worker_that_slept_past_its_session_loses_nothing(
    fleet: Fleet, kafka_settings: KafkaSettings, topics: str
) -> None:
    """Its partitions go to the other; when it wakes it repeats one window at most and joins again."""
    sleeper = fleet.start(WORKER_MAX_WINDOW=str(WINDOW))
    other = fleet.start(WORKER_MAX_WINDOW=str(WINDOW))
    traffic = Traffic(kafka_settings, topics)
    with traffic.flowing():
        time.sleep(0.7)
        sleeper.signal(signal.SIGSTOP)
        eventually(lambda: len(lag(other)) == 4, "the other has all partitions")
        sleeper.signal(signal.SIGCONT)
        eventually(lambda: len(lag(other)) == len(lag(sleeper)) == 2, "they share again")

    assert repeats(kafka_settings, topics, traffic.places) <= WINDOW
    assert [sleeper.stop(), other.stop()] == [ExitCode.DONE, ExitCode.DONE]


@ON_KAFKA
@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
def test_a_rebalance_repeats_nothing_and_keeps_the_order(
    fleet: Fleet, kafka_settings: KafkaSettings, topics: str, delivery: str
) -> None:
    """Workers come and go under traffic: each finishes its window before it gives partitions away."""
    start = partial(fleet.start, WORKER_DELIVERY=delivery, WORKER_MAX_WINDOW=str(WINDOW))
    traffic = Traffic(kafka_settings, topics)
    with traffic.flowing():
        first, second = start(WORKER_SLOT="a"), start(WORKER_SLOT="b")
        eventually(lambda: len(lag(first)) == len(lag(second)) == 2, "they share")
        code = first.stop()
        eventually(lambda: len(lag(second)) == 4, "the second has all partitions")

    assert repeats(kafka_settings, topics, traffic.places) == 0
    assert code == ExitCode.DONE


@contextmanager
def _own_kafka(folder: Path) -> Iterator[tuple[KafkaNode, Fleet]]:
    """A broker that may be stopped, with topics and a release."""
    if not KAFKA_HOME.is_dir():
        pytest.skip("no Apache Kafka: set KAFKA_HOME to an unpacked Kafka of 3.9 or later")
    with KafkaNode(KAFKA_HOME) as node:
        kafka = KafkaSettings(bootstrap_servers=node.bootstrap_servers)
        shared = SharedSettings(store=f"file://{folder / 'store'}", cache=folder / "cache")
        create_topics(kafka, "", 4, 1)
        make_live(kafka, shared, tiny_release(Store(shared.store)).release, "the first one")
        fleet = Fleet(kafka, shared, folder)
        try:
            yield node, fleet
        finally:
            fleet.close()


def _gave_up(worker: WorkerProcess, address: str) -> None:
    """It ends with 75; its log is JSON, short, and the last line says where and what to do."""
    assert worker.ended(40) == ExitCode.TRY_AGAIN
    lines = worker.lines()
    last = lines[-1]
    assert len(lines) < 300
    assert "hung" in last["event"] or address in last["why"]


@pytest.mark.parametrize(
    ("delivery", "per_crash"), [("at-least-once", WINDOW), ("exactly-once", 0)]
)
def test_a_broker_that_goes_away_in_mid_traffic_costs_nothing(
    tmp_path: Path, delivery: str, per_crash: int
) -> None:
    """
    A short outage is sat out, a long one ends the workers with 75; afterwards all is answered.

    An idle worker is not ready while its broker is away, and does not wait for ever either.
    """
    with _own_kafka(tmp_path) as (node, fleet):
        kafka, address = fleet.kafka, node.bootstrap_servers
        start = partial(
            fleet.start,
            WORKER_DELIVERY=delivery,
            WORKER_MAX_WINDOW=str(WINDOW),
            WORKER_WATCHDOG_SECONDS="12",
        )
        worker = start()
        worker.signal(signal.SIGSTOP)
        places = send(kafka, "listings", listings(1500))
        worker.signal(signal.SIGCONT)
        node.stop()
        eventually(lambda: worker.get("/readyz")[0] != 200, "it is not ready")
        node.start()
        eventually(
            lambda: worker.process.poll() is not None or worker.ready(),
            "it sat it out or ended",
            40,
        )
        if worker.process.poll() is not None:  # a slow machine made the outage a long one
            worker = start()
        assert repeats(kafka, "", places) <= per_crash
        eventually(worker.ready, "it is ready again", 40)
        eventually(lambda: sum(lag(worker).values()) == 0, "it is idle")

        node.stop()
        _gave_up(worker, address)
        node.start()
        start()
        places += send(kafka, "listings", listings(100, 1500))
        assert repeats(kafka, "", places) <= 2 * per_crash


def test_a_start_without_a_broker_is_no_bug() -> None:
    """A broker that goes away between the first probe and the start: try again, with its address."""
    address = f"127.0.0.1:{own_port()}"
    delivery = FaustDelivery(
        KafkaSettings(bootstrap_servers=address),
        "",
        WorkerSettings(),
        lambda _: Window(),
        WorkerMetrics(),
        Health("partitions"),
        Watchdog(60),
    )

    with pytest.raises(TryAgain, match=address):
        delivery.run(threading.Event())
