"""An exactly-once worker that is cut off from its broker, in the midst of a transaction."""

import threading
from collections.abc import Sequence

import pytest

from runtime.health import Health
from runtime.records import Outbound, Record
from runtime.watchdog import Watchdog
from schemas.topics import Topic
from tests.chaos.cluster import Cluster
from tests.chaos.conftest import MakeStage
from tests.kafka_io import read_until, send
from tests.processes import eventually
from tests.workers.listings import listings
from workers import transactional_delivery
from workers.metrics import WorkerMetrics
from workers.outcomes import Outcome, Window
from workers.settings import WorkerSettings
from workers.transactional_delivery import TransactionalDelivery


def test_a_failed_session_leaves_nothing_behind(
    one_node: Cluster, stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off for longer than a delivery may take: both clients end, and the next session answers."""
    ours = stage(one_node, "exactly-once")
    proxy, health, stop = one_node.nodes[0].proxy, Health("partitions"), threading.Event()
    patience, windows = transactional_delivery._DELIVERY_SECONDS, 0
    topic = Topic.LISTINGS.named(ours.prefix)

    def answer(records: Sequence[Record]) -> Window:
        nonlocal windows
        windows += 1
        if windows == 2:
            monkeypatch.setattr(transactional_delivery, "_DELIVERY_SECONDS", 1)
            proxy.cut()
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
    monkeypatch.setattr(transactional_delivery, "_DELIVERY_SECONDS", patience)
    proxy.heal()
    read_until(ours.kafka, ours.prefix, Topic.CLASSIFIED, lambda found: len(found) >= 21)
    stop.set()
    running.join(20)
    delivery.watchdog.close()

    assert patience < transactional_delivery._TRANSACTION_SECONDS
    eventually(lambda: set(threading.enumerate()) <= before, "no thread is left", 10)
