"""The trainer's consumer: every partition of `labelled` and `deletions`, from offsets of its own."""

import time
from collections.abc import Mapping
from contextlib import suppress

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from runtime.denials import require_visible
from runtime.kafka import kafka_arguments
from runtime.records import Record, polled
from runtime.settings import KafkaSettings
from schemas.errors import TryAgain
from schemas.topics import Topic

_LOOK_FOR_PARTITIONS_SECONDS = 30


class Inbox:
    """
    Reads on from where the database stands. It belongs to no consumer group and commits nothing.

    Args:
        kafka: How to reach Kafka.
        prefix: What the names of topics begin with.
        offsets: The next offset of each (topic, partition) that was read before; the others are read
            from their beginning.
        max_batch: The most messages of one poll.

    Raises:
        TryAgain: The broker cannot be reached.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        prefix: str,
        offsets: Mapping[tuple[str, int], int],
        max_batch: int,
    ) -> None:
        self._topics = [Topic.LABELLED.named(prefix), Topic.DELETIONS.named(prefix)]
        self._servers = kafka.bootstrap_servers
        self._looked = 0.0
        try:
            self._consumer = KafkaConsumer(
                **kafka_arguments(kafka),
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                allow_auto_create_topics=False,
                max_poll_records=max_batch,
                fetch_max_wait_ms=100,
                metadata_max_age_ms=int(_LOOK_FOR_PARTITIONS_SECONDS * 1000),
            )
            self._assign(offsets)
        except KafkaError as error:
            raise self._failed(error) from error

    def poll(self, timeout_seconds: float) -> list[Record]:
        """
        Wait for messages.

        Returns:
            Those that came, in order within each partition.

        Raises:
            TryAgain: The broker cannot be read.
        """
        try:
            if time.monotonic() - self._looked > _LOOK_FOR_PARTITIONS_SECONDS:
                self._assign({})
            require_visible(self._consumer)
            batches = self._consumer.poll(timeout_ms=int(timeout_seconds * 1000))
        except KafkaError as error:
            raise self._failed(error) from error
        return polled(batches)

    def lag(self) -> dict[tuple[str, int], int]:
        """How many messages of each (topic, partition) were not polled yet."""
        lags = {}
        for partition in self._consumer.assignment():
            end = self._consumer.highwater(partition)
            if end is not None:
                behind = end - self._consumer.position(partition)
                lags[partition.topic, partition.partition] = max(0, behind)
        return lags

    def close(self) -> None:
        """Leave."""
        with suppress(KafkaError):
            self._consumer.close(autocommit=False)

    def _assign(self, offsets: Mapping[tuple[str, int], int]) -> None:
        """Take up all partitions; new ones, made while we run, from their beginning."""
        known = self._consumer.assignment()
        positions = {place: self._consumer.position(place) for place in known}
        places = {
            TopicPartition(topic, partition)
            for topic in self._topics
            for partition in self._consumer.partitions_for_topic(topic) or ()
        }
        self._looked = time.monotonic()
        if places == known:
            return
        self._consumer.assign(sorted(places))
        for place in places:
            offset = positions.get(place, offsets.get((place.topic, place.partition)))
            if offset is None:
                self._consumer.seek_to_beginning(place)
            else:
                self._consumer.seek(place, offset)

    def _failed(self, error: KafkaError) -> TryAgain:
        return TryAgain(
            f"Labels cannot be read from Kafka at {self._servers}: {error}. "
            "Check that the brokers are up."
        )
