"""The `releases` topic: which release serves on which channel."""

import time

import structlog
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from runtime.denials import require_visible
from runtime.kafka import kafka_arguments, probe
from runtime.records import Record, polled
from runtime.settings import KafkaSettings
from schemas.codec import decode, encode
from schemas.errors import TryAgain
from schemas.events import ReleaseAnnouncement
from schemas.topics import Topic

_log = structlog.get_logger(__name__)


class Announcements:
    """
    A reader of all announcements, from the first one on.

    It belongs to no consumer group: every process reads all of them. The topic is compacted, so that
    this stays short however long a deployment lives.

    Args:
        settings: How to reach Kafka.
        prefix: What the topic's name begins with.

    Raises:
        TryAgain: The broker cannot be reached.
    """

    def __init__(self, settings: KafkaSettings, prefix: str) -> None:
        self._partition = TopicPartition(Topic.RELEASES.named(prefix), 0)
        try:
            self._consumer = KafkaConsumer(
                **kafka_arguments(settings),
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                allow_auto_create_topics=False,
                fetch_max_wait_ms=100,
            )
        except KafkaError as error:
            raise TryAgain(
                f"Kafka at {settings.bootstrap_servers} cannot be reached: {error}."
            ) from error
        self._consumer.assign([self._partition])
        self._consumer.seek_to_beginning(self._partition)

    def read_all(self, timeout_seconds: float) -> dict[str, ReleaseAnnouncement]:
        """
        Read up to the end of the topic.

        Returns:
            The last announcement of each channel.

        Raises:
            TryAgain: The end was not reached in time.
        """
        last: dict[str, ReleaseAnnouncement] = {}
        deadline = time.monotonic() + timeout_seconds
        while True:
            for announcement in self.poll(0.2):
                last[announcement.channel] = announcement
            if self._at_end():
                return last
            if time.monotonic() > deadline:
                raise TryAgain(
                    f"The topic {self._partition.topic} could not be read to its end within "
                    f"{timeout_seconds:g} s. Check the brokers."
                )

    def wait_for(self, channel: str, timeout_seconds: float) -> ReleaseAnnouncement | None:
        """
        Read what was announced on a channel, and wait for it where nothing was.

        Returns:
            The last announcement; None if there was none in time.

        Raises:
            TryAgain: The topic could not be read to its end.
        """
        found = self.read_all(timeout_seconds=30).get(channel)
        deadline = time.monotonic() + timeout_seconds
        if found is None:
            _log.info("waiting for a release to be announced", seconds=timeout_seconds)
        while found is None and time.monotonic() < deadline:
            found = self.newest(channel, 0.25)
        return found

    def newest(self, channel: str, timeout_seconds: float) -> ReleaseAnnouncement | None:
        """Wait for newer announcements of a channel; the last of them, if any came."""
        ours = [event for event in self.poll(timeout_seconds) if event.channel == channel]
        return ours[-1] if ours else None

    def poll(self, timeout_seconds: float) -> list[ReleaseAnnouncement]:
        """
        Wait for newer announcements.

        Returns:
            Those that came, in order; what cannot be read is logged and passed over.

        Raises:
            KafkaError: The topic may not be read any more.
        """
        require_visible(self._consumer)
        records = polled(self._consumer.poll(timeout_ms=int(timeout_seconds * 1000)))
        return [event for record in records if (event := _read(record))]

    def close(self) -> None:
        """Leave."""
        self._consumer.close(autocommit=False)

    def _at_end(self) -> bool:
        # The high watermark of the last fetch: not every broker answers ListOffsets rightly.
        end = self._consumer.highwater(self._partition)
        return end is not None and self._consumer.position(self._partition) >= end


def announce(settings: KafkaSettings, prefix: str, announcement: ReleaseAnnouncement) -> None:
    """
    Say which release serves on a channel, and wait until the brokers hold it.

    Raises:
        TryAgain: They do not.
    """
    value, header = encode(announcement)
    topic = Topic.RELEASES.named(prefix)
    try:
        probe(settings)
        producer = KafkaProducer(**kafka_arguments(settings), acks="all", max_block_ms=15_000)
        try:
            producer.send(
                topic, key=announcement.channel.encode(), value=value, headers=[header]
            ).get(timeout=15)
        finally:
            producer.close(timeout=5)
    except (KafkaError, TryAgain) as error:
        raise TryAgain(
            f"Release {announcement.release} could not be announced on {topic}: "
            f"{str(error).rstrip('.')}. It is in the store: announce it with 'roomstream releases "
            "promote'."
        ) from error


def _read(record: Record) -> ReleaseAnnouncement | None:
    if record.value is None:
        return None
    event = decode(Topic.RELEASES, record.value, record.headers)
    if isinstance(event, ReleaseAnnouncement):
        return event
    _log.warning("announcement passed over", offset=record.offset, why=str(event))
    return None
