"""Produce and consume in tests, the same on both brokers."""

import time
from collections.abc import Callable, Iterable, Sequence

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from runtime.kafka import kafka_arguments
from runtime.records import HeaderTuple, Record
from runtime.settings import KafkaSettings
from schemas.codec import encode
from schemas.events import Event

Message = tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes]]]


def message(event: Event, key: str) -> Message:
    """An event as a producer sends it."""
    value, header = encode(event)
    return key.encode(), value, [header]


def send(settings: KafkaSettings, topic: str, messages: Iterable[Message]) -> list[tuple[int, int]]:
    """Send messages and wait for the broker; returns the partition and offset of each."""
    producer = KafkaProducer(**kafka_arguments(settings), acks="all", max_request_size=8 << 20)
    try:
        futures = [
            producer.send(topic, key=key, value=value, headers=list(headers))
            for key, value, headers in messages
        ]
        return [(done.partition, done.offset) for done in (f.get(timeout=30) for f in futures)]
    finally:
        producer.close(timeout=10)


def read_until(
    settings: KafkaSettings,
    topic: str,
    enough: Callable[[list[Record]], bool],
    timeout_seconds: float = 60,
) -> list[Record]:
    """Read a topic from its start until `enough`, else fail with what came."""
    consumer = KafkaConsumer(
        **kafka_arguments(settings), enable_auto_commit=False, auto_offset_reset="earliest"
    )
    try:
        partitions = sorted(consumer.partitions_for_topic(topic) or ())
        assigned = [TopicPartition(topic, partition) for partition in partitions]
        consumer.assign(assigned)
        consumer.seek_to_beginning(*assigned)
        found: list[Record] = []
        deadline = time.monotonic() + timeout_seconds
        while not enough(found):
            if time.monotonic() > deadline:
                raise AssertionError(f"{topic}: {len(found)} records, not enough in time")
            for records in consumer.poll(timeout_ms=200).values():
                found.extend(
                    Record(
                        item.topic,
                        item.partition,
                        item.offset,
                        item.key,
                        item.value,
                        _headers(item.headers),
                        item.timestamp,
                    )
                    for item in records
                )
        return found
    finally:
        consumer.close(autocommit=False)


def _headers(headers: Iterable[tuple[str, bytes]] | None) -> HeaderTuple:
    return tuple((name, value) for name, value in headers or ())
