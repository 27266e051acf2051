"""A trainer under whatever bytes a producer can send."""

import os
from collections import Counter

import psutil

from runtime.dead_letters import read_dead_letter
from runtime.settings import KafkaSettings
from schemas.topics import Topic
from tests.fuzzing import BOMB_BYTES, fuzzed
from tests.kafka_io import read_until, send_fuzzed
from tests.processes import eventually
from tests.releases import ROOM_TYPES
from tests.trainer.process import Deployment
from tests.workers.brokers import ON_KAFKA

COUNT = int(os.environ.get("FUZZ_MESSAGES", "10000")) // 5
SEED = int(os.environ.get("FUZZ_SEED", "4"))
MOST_GROWTH_BYTES = 6 * BOMB_BYTES
OUTCOMES = (
    "learned",
    "held_out",
    "repeated",
    "accepted",
    "rejected",
    "passed_over",
    "deletion",
    "forgotten",
    "dead",
    "skipped",
)


def label_fields(number: int) -> dict[str, object]:
    """The fields of a label, to send or to break."""
    titles = ("Entire loft", "Habitación privada", "litera compartida", "hotel suite")
    return {
        "event_id": f"e-{number}",
        "listing_id": f"l-{number}",
        "title": f"{titles[number % 4]} {number}",
        "description": "cerca del centro",
        "label": ROOM_TYPES[number % 4],
        "labelled_at": "2026-11-24T09:00:00Z",
        "origin": "person",
    }


def handled(deployment: Deployment) -> Counter[str]:
    """How many messages became what; fails if the trainer is gone."""
    assert deployment.process is not None
    assert deployment.process.poll() is None, deployment.log_file.read_text()[-2_000:]
    return Counter({outcome: int(deployment.events(outcome)) for outcome in OUTCOMES})


@ON_KAFKA
def test_whatever_is_sent_is_handled_once(
    deployment: Deployment, kafka_settings: KafkaSettings, topics: str
) -> None:
    """Each is learned, held out, skipped or dead-lettered once; memory stays, the log is short."""
    print(f"FUZZ_SEED={SEED} messages={COUNT}")  # noqa: T201 - to run it again
    messages = list(fuzzed(SEED, COUNT, label_fields))
    kinds = Counter(message.kind for message in messages)
    topic, warm_up = Topic.LABELLED.named(topics), COUNT // 3
    deployment.ready(release_interval_seconds=2)
    assert deployment.process is not None
    process = psutil.Process(deployment.process.pid)
    send_fuzzed(kafka_settings, topic, messages[:warm_up])
    eventually(lambda: handled(deployment).total() >= warm_up, "warmed up", 120)
    warm = process.memory_info().rss
    send_fuzzed(kafka_settings, topic, messages[warm_up:])
    eventually(lambda: handled(deployment).total() >= COUNT, "all are handled", 240)
    done, grown = handled(deployment), process.memory_info().rss - warm
    letters = read_until(
        kafka_settings, topics, Topic.DEAD, lambda found: len(found) >= done["dead"]
    )
    places = Counter((x.partition, x.offset) for x in map(read_dead_letter, letters))
    print(f"{dict(done)}, {warm >> 20} MB, grown by {grown >> 20} MB")  # noqa: T201 - figures

    assert done.total() == COUNT
    assert done["skipped"] == kinds["tombstone"]
    assert done["learned"] + done["held_out"] >= kinds["valid"]
    assert len(places) == places.total() == done["dead"]
    assert grown < MOST_GROWTH_BYTES
    assert len(deployment.log_file.read_text().splitlines()) < 50 + COUNT / 10
    assert deployment.stop() == 0
