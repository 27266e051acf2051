"""Workers that are cut off from their broker, or that their clients leave in the lurch."""

import asyncio
import itertools
import threading
import time
from collections.abc import Sequence
from contextlib import closing

import pytest
from aiokafka.errors import GroupAuthorizationFailedError
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP

from runtime.denials import denied_code
from runtime.health import Health
from runtime.kafka import DELIVERY_SECONDS, TRANSACTION_SECONDS
from runtime.records import Outbound, Record
from runtime.watchdog import Watchdog
from schemas.errors import ExitCode, TryAgain
from schemas.topics import Topic
from tests.chaos.cluster import Cluster
from tests.chaos.conftest import MakeStage
from tests.chaos.proxy import Harm
from tests.chaos.stage import BEHIND_PROXY
from tests.kafka_io import read_until, send
from tests.processes import eventually, within
from tests.workers.listings import listings
from workers import progress, transactional_delivery
from workers.faust_delivery import FaustDelivery
from workers.faust_transport import WorkerConsumer
from workers.metrics import WorkerMetrics
from workers.outcomes import Outcome, Window
from workers.progress import Progress
from workers.settings import WorkerSettings
from workers.transactional_delivery import TransactionalDelivery

CUT = Harm(requests=True, answers=True)


def test_a_failed_session_leaves_nothing_behind(
    one_node: Cluster, stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off for longer than a delivery may take: both clients end, and the next session answers."""
    ours = stage(one_node, "exactly-once")
    proxy, health, stop = one_node.nodes[0].proxy, Health("partitions"), threading.Event()
    windows = 0
    topic = Topic.LISTINGS.named(ours.prefix)

    def answer(records: Sequence[Record]) -> Window:
        nonlocal windows
        windows += 1
        if windows == 2:
            monkeypatch.setattr(transactional_delivery, "DELIVERY_SECONDS", 1)
            proxy.harms.append(CUT)
        name = Topic.CLASSIFIED.named(ours.prefix)
        messages = [Outbound(name, record.key, record.value, ()) for record in records]
        pairs = zip(records, messages, strict=True)
        return Window("r", [Outcome(record, "classified", (sent,)) for record, sent in pairs])

    before = set(threading.enumerate())
    delivery = TransactionalDelivery(
        one_node.behind_proxies,
        ours.prefix,
        WorkerSettings(session_timeout_seconds=6),
        answer,
        WorkerMetrics(),
        health,
        Watchdog(60),
    )
    running = threading.Thread(target=delivery.run, args=(stop,))
    running.start()
    send(ours.kafka, topic, listings(1))
    eventually(lambda: windows == 1, "the first is answered")
    send(ours.kafka, topic, listings(20))
    eventually(lambda: "new session" in str(health.report()), "the session fails")
    monkeypatch.setattr(transactional_delivery, "DELIVERY_SECONDS", DELIVERY_SECONDS)
    proxy.harms.remove(CUT)
    read_until(ours.kafka, ours.prefix, Topic.CLASSIFIED, lambda found: len(found) >= 21)
    stop.set()
    running.join(20)
    delivery.watchdog.close()

    assert DELIVERY_SECONDS < TRANSACTION_SECONDS
    eventually(lambda: set(threading.enumerate()) <= before, "no thread is left", 10)


async def _nothing(*_: object, **__: object) -> dict[TP, list[object]]:
    await asyncio.sleep(0.1)
    return {}


def _paused(session: transactional_delivery._Session, *_: object) -> list[Record]:
    session._consumer.pause(*session._consumer.assignment())
    session._consumer.poll(timeout_ms=100)
    return []


async def _refused(consumer: WorkerConsumer) -> None:
    await consumer.app.crash(GroupAuthorizationFailedError("roomstream-workers"))
    await asyncio.Event().wait()  # whoever would answer has ended


def test_a_commit_that_faust_dies_of_is_told_soon(
    one_node: Cluster, stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The window in flight is not waited for: its commit never returns."""
    monkeypatch.setattr(WorkerConsumer, "commit", _refused)
    ours = stage(one_node, "at-least-once")
    send(ours.kafka, Topic.LISTINGS.named(ours.prefix), listings(4))
    with closing(Watchdog(60)) as watchdog:
        delivery = FaustDelivery(
            ours.kafka,
            ours.prefix,
            WorkerSettings(session_timeout_seconds=6),
            lambda records: Window("r", [Outcome(record, "skipped", ()) for record in records]),
            WorkerMetrics(),
            Health("partitions"),
            watchdog,
        )
        began = time.monotonic()
        with pytest.raises(TryAgain, match="GroupAuthorizationFailedError") as told:
            delivery.run(threading.Event())

    assert denied_code(told.value) == GroupAuthorizationFailedError.errno
    assert time.monotonic() - began < 40


@pytest.mark.parametrize("engine", [FaustDelivery, TransactionalDelivery])
def test_a_consumer_that_no_longer_fetches_ends_the_worker(
    engine: type[FaustDelivery | TransactionalDelivery],
    one_node: Cluster,
    stage: MakeStage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It keeps its partitions and the brokers answer: nothing else would tell."""
    monkeypatch.setattr(AIOKafkaConsumerThread, "getmany", _nothing)
    monkeypatch.setattr(transactional_delivery._Session, "_polled", _paused)
    ours = stage(one_node, "exactly-once")
    send(ours.kafka, Topic.LISTINGS.named(ours.prefix), listings(20))
    settings = WorkerSettings(session_timeout_seconds=6, watchdog_seconds=2)
    with closing(Watchdog(60)) as watchdog:
        delivery = engine(
            ours.kafka,
            ours.prefix,
            settings,
            lambda _: Window(),
            WorkerMetrics(),
            Health("partitions"),
            watchdog,
        )
        with pytest.raises(TryAgain, match=r"listings has come for 2 s, though 20 listings wait"):
            delivery.run(threading.Event())


def test_who_gets_on_or_has_all_or_is_paused_goes_on(
    one_node: Cluster, stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But not who is cut off from the leaders of its partitions."""
    ours, limit = stage(one_node, "exactly-once"), 1
    name, proxy = Topic.LISTINGS.named(ours.prefix), one_node.nodes[0].proxy
    (partition, _), *_ = send(ours.kafka, name, listings(20, ids=1))
    with closing(Progress(one_node.behind_proxies, name, limit)) as watched:

        def gives_up(position: int, paused: bool = False) -> str:
            try:
                watched.check({partition: position}, paused)
            except TryAgain as error:
                return str(error)
            return ""

        positions = itertools.cycle(range(20))
        eventually(lambda: "15 listings wait" in gives_up(5), "it waits for too long", 20)
        assert not within(1.2 * limit, lambda: bool(gives_up(5, paused=True)))
        assert not within(1.2 * limit, lambda: bool(gives_up(next(positions))))
        assert not within(1.2 * limit, lambda: bool(gives_up(20)))
        monkeypatch.setattr(progress, "_REQUEST_MS", 1000)
        proxy.harms.append(CUT)
        eventually(lambda: "leaders cannot be asked" in gives_up(20), "it is cut off", 20)
        proxy.harms.remove(CUT)


def test_a_worker_that_hangs_in_a_transaction_ends(one_node: Cluster, stage: MakeStage) -> None:
    """Cut off in mid traffic: the watchdog ends it with 75, and says where it hung."""
    limit, proxy = 4, one_node.nodes[0].proxy
    ours = stage(one_node, "exactly-once")
    worker = ours.workers[BEHIND_PROXY]
    worker.environment["WORKER_WATCHDOG_SECONDS"] = str(limit)
    send(ours.kafka, Topic.LISTINGS.named(ours.prefix), listings(8000))
    worker.want()
    read_until(ours.kafka, ours.prefix, Topic.CLASSIFIED, lambda found: len(found) > 0)
    proxy.harms.append(CUT)
    cut_at = time.monotonic()
    eventually(lambda: worker.codes == [ExitCode.TRY_AGAIN], "it ends")
    seconds = time.monotonic() - cut_at
    proxy.harms.remove(CUT)
    hung = [line for line in worker.log.read_text().splitlines() if "hung: ending" in line]

    assert seconds < limit + 6
    assert len(hung) == 1
    assert "in _step" in hung[0]
