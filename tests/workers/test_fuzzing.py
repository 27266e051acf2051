"""A worker under whatever bytes a producer can send: each has one result, and nothing wears out."""

import os
from collections import Counter

import psutil
import pytest

from roomstream.audit import run_audit
from runtime.kafka import MAX_REQUEST_BYTES
from runtime.settings import KafkaSettings
from schemas.errors import ExitCode
from schemas.topics import Topic
from tests.fuzzing import BOMB_BYTES, fuzzed
from tests.kafka_io import send_fuzzed
from tests.processes import eventually
from tests.workers.brokers import ON_KAFKA
from tests.workers.listings import listing_fields
from tests.workers.processes import Fleet, WorkerProcess

COUNT = int(os.environ.get("FUZZ_MESSAGES", "5000"))
SEED = int(os.environ.get("FUZZ_SEED", "4"))
PARTS = 8
MOST_GROWTH_BYTES = 4 * BOMB_BYTES  # half of 100,000 messages: a leak of 2 kB each would show


def handled(worker: WorkerProcess) -> dict[str, int]:
    """How many messages became what; nothing if the worker is gone."""
    assert worker.process.poll() is None, worker.lines()[-3:]
    return {labels[0][1]: int(n) for labels, n in worker.metric("events_total").items()}


def resident(worker: WorkerProcess) -> int:
    """Its memory, in bytes."""
    return int(psutil.Process(worker.process.pid).memory_info().rss)


@ON_KAFKA
@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
@pytest.mark.usefixtures("live")
def test_whatever_is_sent_is_handled_once(
    fleet: Fleet, kafka_settings: KafkaSettings, topics: str, delivery: str
) -> None:
    """Every message is answered, skipped or dead-lettered; memory, log and process stay as they are."""
    print(f"FUZZ_SEED={SEED} FUZZ_MESSAGES={COUNT}")  # noqa: T201 - to run it again
    assert BOMB_BYTES > MAX_REQUEST_BYTES
    messages = list(fuzzed(SEED, COUNT, listing_fields))
    kinds = Counter(message.kind for message in messages)
    worker = fleet.start(WORKER_DELIVERY=delivery)
    sizes = []
    for part in range(PARTS):  # each is handled before the next comes: what is in hand is no growth
        send_fuzzed(kafka_settings, Topic.LISTINGS.named(topics), messages[part::PARTS])
        sent = sum(len(messages[each::PARTS]) for each in range(part + 1))
        eventually(lambda sent=sent: sum(handled(worker).values()) >= sent, "handled", 240)  # type: ignore[misc]
        sizes.append(resident(worker))
    done, grown = handled(worker), max(sizes[PARTS // 2 :]) - max(sizes[: PARTS // 2])
    code = worker.stop()
    audits = run_audit(kafka_settings, topics, f"{topics}roomstream-workers")
    lines = worker.lines()
    print(f"{done}, {sizes[0] >> 20} MB, grown by {grown >> 20} MB, {len(lines)} lines")  # noqa: T201 - figures

    assert code == ExitCode.DONE
    assert all(audit.whole for audit in audits), audits
    # Some say that they were sent in 1970, and in a long run retention deletes those that stand first.
    gone = sum(audit.first for audit in audits)
    found = {
        "classified": sum(audit.answered for audit in audits),
        "dead": sum(audit.dead for audit in audits),
        "skipped": sum(audit.skipped for audit in audits),
    }
    assert sum(found.values()) + gone == sum(done.values()) == COUNT
    assert all(0 <= done[kind] - found[kind] <= gone for kind in found)
    assert done["classified"] >= kinds["valid"]
    assert done["skipped"] == kinds["tombstone"]
    assert grown < MOST_GROWTH_BYTES
    ours = [line for line in lines if "logger" not in line]  # libraries grumble on a busy machine
    assert [line for line in ours if line["level"] in ("error", "critical")] == []
    assert len(lines) < 50 + COUNT / 100
