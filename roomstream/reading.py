"""Reading topics from their start without a consumer group."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Self

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError

from runtime.kafka import admin_client, kafka_arguments
from runtime.records import Record, polled
from runtime.settings import KafkaSettings
from schemas.errors import TryAgain
from schemas.topics import Topic

_SILENCE_SECONDS = 30


def committed_offsets(kafka: KafkaSettings, group: str, topic: str) -> dict[int, int]:
    """
    The next offset of a consumer group in each partition of a topic; what was never committed is 0.

    Raises:
        KafkaError: The broker does not say, such as before the group has met.
    """
    with closing(KafkaAdminClient(**kafka_arguments(kafka))) as admin:
        (described,) = admin.describe_topics([topic])
        places = [
            TopicPartition(topic, each["partition_index"]) for each in described["partitions"]
        ]
        offsets = admin.list_group_offsets({group: places})[group]
    return {place.partition: max(0, found.offset) for place, found in offsets.items()}


def end_offsets(kafka: KafkaSettings, topic: str) -> dict[int, int]:
    """
    The offset that the next message of each partition gets.

    The leaders say so, which after an election know it sooner than a fetch does, and messages of open
    transactions count: everything that was committed before the call lies below. The embedded broker
    does not know it.

    Raises:
        TryAgain: The broker cannot be reached.
    """
    with admin_client(kafka) as admin:
        (described,) = admin.describe_topics([topic])
        wanted = {
            TopicPartition(topic, each["partition_index"]): OffsetSpec.LATEST
            for each in described["partitions"]
        }
        found = admin.list_partition_offsets(wanted)
    return {place.partition: end.offset for place, end in found.items()}


class TopicReader:
    """
    Reads every partition of some topics from the beginning. A context manager.

    Raises:
        TryAgain: The broker cannot be reached.
    """

    def __init__(self, kafka: KafkaSettings, prefix: str, *topics: Topic) -> None:
        self._servers = kafka.bootstrap_servers
        try:
            self._consumer = KafkaConsumer(
                **kafka_arguments(kafka),
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                isolation_level="read_committed",
            )
            names = [topic.named(prefix) for topic in topics]
            self._consumer.assign(
                [
                    TopicPartition(name, partition)
                    for name in names
                    for partition in sorted(self._consumer.partitions_for_topic(name) or ())
                ]
            )
        except KafkaError as error:
            raise self._failed(error) from error

    def poll(self, timeout_seconds: float = 0.2) -> list[Record]:
        """What has come since the last call, in order within each partition."""
        try:
            batches = self._consumer.poll(timeout_ms=int(timeout_seconds * 1000))
        except KafkaError as error:
            raise self._failed(error) from error
        return polled(batches)

    def read_to_end(self) -> Iterator[Record]:
        """
        Read what is there now, and stop; what comes meanwhile may be among it.

        Raises:
            TryAgain: Nothing came for a while, though there is more.
        """
        return self._read({})

    def read_to(self, ends: Mapping[int, int]) -> Iterator[Record]:
        """
        Read what lies before the end of each partition, and no more; for a reader of one topic.

        Raises:
            TryAgain: Nothing came for a while, though there is more.
        """
        places = self._consumer.assignment()
        for record in self._read({place: ends.get(place.partition, 0) for place in places}):
            if record.offset < ends.get(record.partition, 0):
                yield record

    def _read(self, ends: dict[TopicPartition, int]) -> Iterator[Record]:
        waiting_since = time.monotonic()
        while behind := self._behind(ends):
            records = self.poll()
            yield from records
            if records:
                waiting_since = time.monotonic()
            elif time.monotonic() - waiting_since > _SILENCE_SECONDS:
                raise TryAgain(
                    f"Kafka at {self._servers} gave nothing more of {behind.topic} for "
                    f"{_SILENCE_SECONDS} s, though there is more. Check that the brokers are up."
                )

    def rewind(self) -> None:
        """Go back to the beginning of every partition."""
        self._consumer.seek_to_beginning()

    def positions(self) -> dict[int, int]:
        """The next offset of each partition; for a reader of one topic."""
        places = self._consumer.assignment()
        return {place.partition: self._consumer.position(place) for place in places}

    def _behind(self, ends: dict[TopicPartition, int]) -> TopicPartition | None:
        """
        A partition that is not read to its end.

        An end that is not in `ends` is the high watermark of the first fetch: it would run away from us
        else.
        """
        places = self._consumer.assignment()
        for place in places - ends.keys():
            end = self._consumer.highwater(place)
            if end is not None:
                ends[place] = end
        unread = (x for x in places if x not in ends or self._consumer.position(x) < ends[x])
        return next(unread, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def _failed(self, error: KafkaError) -> TryAgain:
        return TryAgain(
            f"Kafka at {self._servers} cannot be read: {error}. Check that the brokers are up."
        )
