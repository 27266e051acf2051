"""Reading topics from their start without a consumer group."""

import time
from collections.abc import Iterator
from typing import Self

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from runtime.kafka import kafka_arguments
from runtime.records import Record, polled
from runtime.settings import KafkaSettings
from schemas.errors import TryAgain
from schemas.topics import Topic

_SILENCE_SECONDS = 30


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
        Read what is there now, and stop.

        Raises:
            TryAgain: Nothing came for a while, though there is more.
        """
        waiting_since = time.monotonic()
        while behind := self._behind():
            records = self.poll()
            yield from records
            if records:
                waiting_since = time.monotonic()
            elif time.monotonic() - waiting_since > _SILENCE_SECONDS:
                raise TryAgain(
                    f"Kafka at {self._servers} gave nothing more of {behind.topic} for "
                    f"{_SILENCE_SECONDS} s, though there is more. Check that the brokers are up."
                )

    def _behind(self) -> TopicPartition | None:
        """A partition that is not read to its end, by the high watermark of its last fetch."""
        for partition in self._consumer.assignment():
            end = self._consumer.highwater(partition)
            if end is None or self._consumer.position(partition) < end:
                return partition
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def _failed(self, error: KafkaError) -> TryAgain:
        return TryAgain(
            f"Kafka at {self._servers} cannot be read: {error}. Check that the brokers are up."
        )
