"""The trainer reads every label and deletion from its own offsets, on both brokers."""

import time
from contextlib import closing

import pytest
from kafka import KafkaAdminClient

from roomstream.brokers import Broker
from runtime.kafka import kafka_arguments
from runtime.records import Record
from runtime.settings import KafkaSettings, load
from runtime.topics import create_topics
from schemas.topics import Topic
from tests.kafka_io import message, send
from tests.trainer.labels import deletion, labelled
from trainer.inbox import Inbox


def read(inbox: Inbox, count: int, seconds: float = 15) -> list[Record]:
    """Poll until so many messages have come, and a moment longer for those too many."""
    found: list[Record] = []
    deadline = time.monotonic() + seconds
    while len(found) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count}"
        found.extend(inbox.poll(0.2))
    return found + inbox.poll(0.3)


def send_labels(kafka: KafkaSettings, prefix: str, *numbers: int) -> None:
    send(
        kafka,
        Topic.LABELLED.named(prefix),
        [message(labelled(number), f"l-{number}") for number in numbers],
    )


def test_everything_is_read_once_in_order(kafka_settings: KafkaSettings, topics: str) -> None:
    """Labels and deletions of all partitions, bytes and headers as they were sent."""
    send_labels(kafka_settings, topics, *range(50))
    send(
        kafka_settings,
        Topic.DELETIONS.named(topics),
        [message(deletion(n), f"l-{n}") for n in range(5)],
    )
    send(kafka_settings, Topic.LABELLED.named(topics), [(b"l-1", None, [("traceparent", b"00")])])
    with closing(Inbox(kafka_settings, topics, {}, max_batch=7)) as inbox:
        found = read(inbox, 56)
        lag = inbox.lag()
    places = [(record.topic, record.partition, record.offset) for record in found]
    (tombstone,) = [record for record in found if record.value is None]

    assert len(places) == len(set(places)) == 56
    for place in {place[:2] for place in places}:
        offsets = [offset for *where, offset in places if tuple(where) == place]
        assert offsets == list(range(len(offsets)))
    assert (tombstone.key, tombstone.headers) == (b"l-1", (("traceparent", b"00"),))
    assert set(lag.values()) == {0}
    assert all(record.timestamp_ms > 1_700_000_000_000 for record in found)


def test_it_goes_on_from_the_given_offsets(kafka_settings: KafkaSettings, topics: str) -> None:
    """What was handled does not come again; a partition unheard of is read from its beginning."""
    send_labels(kafka_settings, topics, *range(40))
    with closing(Inbox(kafka_settings, topics, {}, max_batch=100)) as inbox:
        first = read(inbox, 40)
    handled = [record for record in first if record.partition in (0, 1)]
    offsets = {
        (Topic.LABELLED.named(topics), partition): 1
        + max(record.offset for record in handled if record.partition == partition)
        for partition in {record.partition for record in handled}
    }
    send_labels(kafka_settings, topics, *range(40, 60))
    with closing(Inbox(kafka_settings, topics, offsets, max_batch=100)) as inbox:
        second = read(inbox, 60 - len(handled))
    places = [(record.partition, record.offset) for record in (*handled, *second)]

    assert len(places) == len(set(places)) == 60


def test_lag_is_what_was_not_polled_yet(kafka_settings: KafkaSettings, topics: str) -> None:
    """It falls with every poll, and reaches 0."""
    send_labels(kafka_settings, topics, *range(60))
    seen = []
    with closing(Inbox(kafka_settings, topics, {}, max_batch=5)) as inbox:
        polled = 0
        while polled < 60:
            polled += len(inbox.poll(0.5))
            if len(inbox.lag()) == 8:  # four partitions of both topics are known
                seen.append((polled, sum(inbox.lag().values())))

    assert seen
    assert all(lag == 60 - polled for polled, lag in seen)


@pytest.fixture
def on_kafka(kafka_node: Broker, topic_prefix: str) -> KafkaSettings:
    """One partition a topic on Apache Kafka: the embedded broker can do neither of the following."""
    kafka = load(KafkaSettings, bootstrap_servers=kafka_node.bootstrap_servers)
    create_topics(kafka, topic_prefix, partitions=1, replication_factor=1)
    return kafka


def test_new_partitions_are_found(
    on_kafka: KafkaSettings, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made while the trainer runs, they are read from their beginning, the others go on."""
    monkeypatch.setattr("trainer.inbox._LOOK_FOR_PARTITIONS_SECONDS", 0.5)
    topic = Topic.LABELLED.named(topic_prefix)
    send_labels(on_kafka, topic_prefix, *range(5))
    with closing(Inbox(on_kafka, topic_prefix, {}, max_batch=100)) as inbox:
        found = read(inbox, 5)
        with closing(KafkaAdminClient(**kafka_arguments(on_kafka))) as admin:
            admin.create_partitions({topic: 3})
        time.sleep(0.5)
        send_labels(on_kafka, topic_prefix, *range(5, 30))
        found += read(inbox, 25)
    places = [(record.partition, record.offset) for record in found]

    assert {partition for partition, _ in places} == {0, 1, 2}
    assert len(places) == len(set(places)) == 30


def test_offsets_of_a_topic_that_was_made_anew_are_forgotten(
    on_kafka: KafkaSettings, topic_prefix: str
) -> None:
    """They point beyond its end: it is read from the beginning."""
    send_labels(on_kafka, topic_prefix, *range(20))
    offsets = {(Topic.LABELLED.named(topic_prefix), 0): 1_000}
    with closing(Inbox(on_kafka, topic_prefix, offsets, max_batch=100)) as inbox:
        found = read(inbox, 20)

    assert len(found) == 20
