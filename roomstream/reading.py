"""Reading topics from their start without a consumer group."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Self

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import KafkaError

from runtime.kafka import admin_client, kafka_arguments
from runtime.records import Record, polled
from runtime.settings import KafkaSettings
from schemas.errors import TryAgain
from schemas.events import MAX_PAYLOAD_BYTES
from schemas.topics import Topic

_SILENCE_SECONDS = 30
_FETCH_BYTES = 4 * MAX_PAYLOAD_BYTES  # of a partition at once; clients keep several of them


def committed_offsets(kafka: KafkaSettings, group: str, topic: str) -> dict[int, int]:
    """
    The next offset of a consumer group in each partition of a topic where it has committed one.

    Raises:
        KafkaError: The broker does not say, such as before the group has met.
    """
    with closing(KafkaAdminClient(**kafka_arguments(kafka))) as admin:
        (described,) = admin.describe_topics([topic])
        places = [
            TopicPartition(topic, each["partition_index"]) for each in described["partitions"]
        ]
        offsets = admin.list_group_offsets({group: places})[group]
    return {place.partition: found.offset for place, found in offsets.items() if found.offset >= 0}


def end_offsets(kafka: KafkaSettings, *topics: str) -> dict[TopicPartition, int]:
    """
    The offset that the next message of each partition gets.

    The leaders say so, which after an election know it sooner than a fetch does, and messages of open
    transactions count: everything that was committed before the call lies below.

    Raises:
        TryAgain: The broker cannot be reached.
    """
    with admin_client(kafka) as admin:
        wanted = {
            TopicPartition(described["name"], each["partition_index"]): OffsetSpec.LATEST
            for described in admin.describe_topics(list(topics))
            for each in described["partitions"]
        }
        found = admin.list_partition_offsets(wanted)
    return {place: end.offset for place, end in found.items()}


def least_kept_ms(kafka: KafkaSettings, topic: str) -> float:
    """
    For how long a topic keeps every message; 0 if its size counts too, or if the broker does not say.

    Raises:
        TryAgain: The broker cannot be reached.
    """
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)
    with admin_client(kafka) as admin:
        found = admin.describe_configs([resource], config_filter="all")
    settings = {
        key: int(each["value"])
        for key, each in found.get("topic", {}).get(topic, {}).items()
        if key.startswith("retention.")
    }
    if settings.get("retention.bytes", -1) >= 0:
        return 0
    kept = settings.get("retention.ms", 0)
    return kept if kept >= 0 else float("inf")


class TopicReader:
    """
    Reads every partition of some topics from the beginning. A context manager.

    Raises:
        TryAgain: The broker cannot be reached.
    """

    def __init__(self, kafka: KafkaSettings, prefix: str, *topics: Topic) -> None:
        self._kafka = kafka
        self._names = [topic.named(prefix) for topic in topics]
        try:
            self._consumer = KafkaConsumer(
                **kafka_arguments(kafka),
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                isolation_level="read_committed",
                max_partition_fetch_bytes=_FETCH_BYTES,
            )
            self._consumer.assign(
                [
                    TopicPartition(name, partition)
                    for name in self._names
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
        return self._read(end_offsets(self._kafka, *self._names))

    def read_to(self, ends: Mapping[TopicPartition, int]) -> Iterator[Record]:
        """
        Read what lies before the end of each partition, and no more.

        Raises:
            TryAgain: Nothing came for a while, though there is more.
        """
        for record in self._read(ends):
            if record.offset < ends.get(TopicPartition(record.topic, record.partition), 0):
                yield record

    def _read(self, ends: Mapping[TopicPartition, int]) -> Iterator[Record]:
        waiting_since = time.monotonic()
        while behind := self._behind(ends):
            records = self.poll()
            yield from records
            if records:
                waiting_since = time.monotonic()
            elif time.monotonic() - waiting_since > _SILENCE_SECONDS:
                raise TryAgain(
                    f"Kafka at {self._kafka.bootstrap_servers} gave nothing more of {behind.topic} for "
                    f"{_SILENCE_SECONDS} s, though there is more. Check that the brokers are up."
                )

    def rewind(self) -> None:
        """Go back to the beginning of every partition."""
        self._consumer.seek_to_beginning()

    def begin_offsets(self) -> dict[TopicPartition, int]:
        """Where each partition begins now: retention moves it."""
        try:
            return dict(self._consumer.beginning_offsets(self._consumer.assignment()))
        except KafkaError as error:
            raise self._failed(error) from error

    def offsets_at(self, time_ms: float) -> dict[TopicPartition, int]:
        """The first offset of each partition that is not older; where all is older, the next one."""
        places = self._consumer.assignment()
        try:
            found = self._consumer.offsets_for_times(dict.fromkeys(places, int(time_ms)))
        except KafkaError as error:
            raise self._failed(error) from error
        return {
            place: at.offset if at else self._consumer.position(place)
            for place, at in found.items()
        }

    def _behind(self, ends: Mapping[TopicPartition, int]) -> TopicPartition | None:
        """A partition that is not read to its end."""
        places = self._consumer.assignment() & ends.keys()
        return next((x for x in places if self._consumer.position(x) < ends[x]), None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def _failed(self, error: KafkaError) -> TryAgain:
        return TryAgain(
            f"Kafka at {self._kafka.bootstrap_servers} cannot be read: {error}. "
            "Check that the brokers are up."
        )
