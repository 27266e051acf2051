"""Reading topics from their start without a consumer group."""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Self

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from runtime.kafka import kafka_arguments
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
        ends: dict[TopicPartition, int] = {}
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

    def positions(self) -> dict[int, int]:
        """The next offset of each partition; for a reader of one topic."""
        places = self._consumer.assignment()
        return {place.partition: self._consumer.position(place) for place in places}

    def _behind(self, ends: dict[TopicPartition, int]) -> TopicPartition | None:
        """
        A partition that is not read to its end.

        `ends` takes the high watermark of the first fetch of each: the end would run away from us else.
        """
        for place in self._consumer.assignment():
            end = self._consumer.highwater(place)
            if end is None or self._consumer.position(place) < ends.setdefault(place, end):
                return place
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def _failed(self, error: KafkaError) -> TryAgain:
        return TryAgain(
            f"Kafka at {self._servers} cannot be read: {error}. Check that the brokers are up."
        )
