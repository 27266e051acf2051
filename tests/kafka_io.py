"""Produce and consume in tests, the same on both brokers."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

from aiokafka import AIOKafkaProducer
from kafka import KafkaProducer

from roomstream.reading import TopicReader
from runtime.kafka import admin_client, kafka_arguments
from runtime.records import Record, valued
from runtime.settings import KafkaSettings
from runtime.topics import create_topics
from schemas.codec import encode
from schemas.events import Event
from schemas.topics import Topic
from tests.fuzzing import BOMB_BYTES, CODECS, Fuzzed, RawName
from tests.processes import eventually

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
    prefix: str,
    topic: Topic,
    enough: Callable[[list[Record]], bool],
    timeout_seconds: float = 60,
) -> list[Record]:
    """Read a topic from its start until `enough`, else fail with what came."""
    found: list[Record] = []
    deadline = time.monotonic() + timeout_seconds
    with TopicReader(settings, prefix, topic) as reader:
        while not enough(found):
            if time.monotonic() > deadline:
                raise AssertionError(f"{topic}: {len(found)} records, not enough in time")
            found.extend(reader.poll())
    return found


def created_again(kafka: KafkaSettings, prefix: str, partitions: int, *topics: Topic) -> None:
    """Delete topics, and create them as they were."""
    names = {topic.named(prefix) for topic in topics}
    with admin_client(kafka) as admin:
        admin.delete_topics(sorted(names))
        eventually(
            lambda: names.isdisjoint(each["name"] for each in admin.describe_topics()),
            "they are gone",
        )
    create_topics(kafka, prefix, partitions, 1)


def send_fuzzed(kafka: KafkaSettings, topic: str, messages: Iterable[Fuzzed]) -> None:
    """Send messages, each in a batch of its codec, and wait for the broker."""
    plain: list[Fuzzed] = []
    raw: list[Fuzzed] = []
    for each in messages:
        (raw if any(isinstance(name, RawName) for name, _ in each.headers) else plain).append(each)
    asyncio.run(_send(kafka, topic, plain))
    send(kafka, topic, [(each.key, each.value, valued(each.headers)) for each in raw])


async def _send(kafka: KafkaSettings, topic: str, messages: Iterable[Fuzzed]) -> None:
    producers = {
        codec: AIOKafkaProducer(
            bootstrap_servers=kafka.bootstrap_servers,
            compression_type=codec,
            max_request_size=2 * BOMB_BYTES,
            linger_ms=20,
        )
        for codec in CODECS
    }
    try:
        for producer in producers.values():
            await producer.start()
        sent = [
            await producers[message.codec].send(
                topic,
                message.value,
                message.key,
                timestamp_ms=message.timestamp_ms,
                headers=list(message.headers),
            )
            for message in messages
        ]
        for producer in producers.values():
            await producer.flush()
        await asyncio.gather(*sent)  # none was refused
    finally:
        for producer in producers.values():
            await producer.stop()
