"""The `releases` topic: which release serves on which channel, and which trainer may say so."""

import threading
import time
from collections.abc import Callable

import structlog
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from runtime.denials import require_visible
from runtime.fencing import Fence
from runtime.kafka import FETCH_WAIT_MS, close_producer, kafka_arguments, probe
from runtime.records import Record, polled
from runtime.settings import KafkaSettings
from runtime.stopping import Stopped
from schemas.codec import decode, encode
from schemas.errors import TryAgain
from schemas.events import FineTuneRequest, ReleaseAnnouncement, TrainerClaim
from schemas.topics import Topic

_log = structlog.get_logger(__name__)

Said = ReleaseAnnouncement | TrainerClaim | FineTuneRequest


class Announcements:
    """
    A reader of all announcements, from the first one on.

    It belongs to no consumer group: every process reads all of them. The topic is compacted, so that
    this stays short however long a deployment lives. What a trainer announces that another one has
    taken over from is refused: nobody who reads here gets it.

    Args:
        settings: How to reach Kafka.
        prefix: What the topic's name begins with.

    Attributes:
        fence: The highest epoch so far.
        last: The last announcement of each channel that counts.
        stale: How many announcements were refused so far.
        hidden: Channels whose last message is a refused one: a reader that starts after the topic
            was compacted finds nothing of them.
        request: The last request to fine-tune, if there was one.

    Raises:
        TryAgain: The broker cannot be reached.
    """

    def __init__(self, settings: KafkaSettings, prefix: str) -> None:
        self.fence = Fence()
        self.last: dict[str, ReleaseAnnouncement] = {}
        self.stale = 0
        self.hidden: set[str] = set()
        self.request: FineTuneRequest | None = None
        self._partition = TopicPartition(Topic.RELEASES.named(prefix), 0)
        try:
            self._consumer = KafkaConsumer(
                **kafka_arguments(settings),
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                allow_auto_create_topics=False,
                fetch_max_wait_ms=FETCH_WAIT_MS,
            )
        except KafkaError as error:
            raise TryAgain(
                f"Kafka at {settings.bootstrap_servers} cannot be reached: {error}."
            ) from error
        self._consumer.assign([self._partition])
        self._consumer.seek_to_beginning(self._partition)

    def read_all(
        self, timeout_seconds: float, stop: threading.Event | None = None
    ) -> dict[str, ReleaseAnnouncement]:
        """
        Read up to the end of the topic.

        Returns:
            The last announcement of each channel.

        Raises:
            Stopped: The process was told to stop.
            TryAgain: The end was not reached in time.
        """
        self._read_until(self._at_end, "to its end", timeout_seconds, stop)
        return dict(self.last)

    def read_past(self, offset: int, timeout_seconds: float) -> None:
        """
        Read up to a message that is on the topic, and it too.

        Raises:
            TryAgain: It was not reached in time.
        """
        self._read_until(
            lambda: self._consumer.position(self._partition) > offset,
            f"to offset {offset}",
            timeout_seconds,
        )

    def wait_for(
        self, channel: str, timeout_seconds: float, stop: threading.Event | None = None
    ) -> ReleaseAnnouncement | None:
        """
        Read what was announced on a channel, and wait for it where nothing was.

        Returns:
            The last announcement; None if there was none in time.

        Raises:
            Stopped: The process was told to stop.
            TryAgain: The topic could not be read to its end.
        """
        found = self.read_all(timeout_seconds=30, stop=stop).get(channel)
        deadline = time.monotonic() + timeout_seconds
        if found is None:
            _log.info("waiting for a release to be announced", seconds=timeout_seconds)
        while found is None and time.monotonic() < deadline:
            found = self.newest(channel, 0.25)
            _check(stop)
        return found

    def newest(self, channel: str, timeout_seconds: float) -> ReleaseAnnouncement | None:
        """Wait for newer announcements of a channel; the last of them, if any came."""
        ours = [event for event in self.poll(timeout_seconds) if event.channel == channel]
        return ours[-1] if ours else None

    def poll(self, timeout_seconds: float) -> list[ReleaseAnnouncement]:
        """
        Wait for newer announcements.

        Returns:
            Those that came, in order; what is stale or cannot be read is logged and passed over.

        Raises:
            KafkaError: The topic may not be read any more.
        """
        require_visible(self._consumer)
        records = polled(self._consumer.poll(timeout_ms=int(timeout_seconds * 1000)))
        return [event for record in records if (event := self._admitted(record))]

    def close(self) -> None:
        """Leave."""
        self._consumer.close(autocommit=False)

    def _admitted(self, record: Record) -> ReleaseAnnouncement | None:
        event = _read(record)
        if event is None:
            return None
        if isinstance(event, FineTuneRequest):
            self.request = event
            return None
        counts = self.fence.admits(event)
        if isinstance(event, TrainerClaim):
            return None
        if counts:
            self.last[event.channel] = event
            self.hidden.discard(event.channel)
            return event
        self.stale += 1
        self.hidden.add(event.channel)
        _log.warning(
            "stale announcement refused: another trainer has taken over from its trainer",
            release=event.release,
            epoch=event.epoch,
            leading_epoch=self.fence.epoch,
            offset=record.offset,
        )
        return None

    def _read_until(
        self,
        done: Callable[[], bool],
        where: str,
        timeout_seconds: float,
        stop: threading.Event | None = None,
    ) -> None:
        deadline = time.monotonic() + timeout_seconds
        while True:
            self.poll(0.2)
            _check(stop)
            if done():
                return
            if time.monotonic() > deadline:
                raise TryAgain(
                    f"The topic {self._partition.topic} could not be read {where} within "
                    f"{timeout_seconds:g} s. Check the brokers."
                )

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
    try:
        _send(settings, prefix, announcement.channel, announcement)
    except (KafkaError, TryAgain) as error:
        raise TryAgain(
            f"Release {announcement.release} could not be announced on "
            f"{Topic.RELEASES.named(prefix)}: {str(error).rstrip('.')}. It is in the store: announce it "
            "with 'roomstream releases promote'."
        ) from error


def _check(stop: threading.Event | None) -> None:
    if stop is not None and stop.is_set():
        raise Stopped


def claim(settings: KafkaSettings, prefix: str, event: TrainerClaim) -> int:
    """
    Say that a trainer takes the lead, and wait until the brokers hold it.

    Returns:
        Where on the topic it stands.

    Raises:
        TryAgain: They do not.
    """
    try:
        return _send(settings, prefix, "trainer", event)
    except KafkaError as error:
        raise TryAgain(
            f"The lead could not be claimed on {Topic.RELEASES.named(prefix)}: {error}. "
            "Check the brokers."
        ) from error


def request_fine_tuning(settings: KafkaSettings, prefix: str, event: FineTuneRequest) -> None:
    """
    Ask the trainer to fine-tune, and wait until the brokers hold it.

    Raises:
        TryAgain: They do not.
    """
    try:
        _send(settings, prefix, "fine-tune", event)
    except KafkaError as error:
        raise TryAgain(
            f"The request could not be sent to {Topic.RELEASES.named(prefix)}: {error}. "
            "Check the brokers."
        ) from error


def _send(settings: KafkaSettings, prefix: str, key: str, event: Said) -> int:
    value, header = encode(event)
    probe(settings)
    producer = KafkaProducer(**kafka_arguments(settings), acks="all", max_block_ms=15_000)
    try:
        sent = producer.send(
            Topic.RELEASES.named(prefix), key=key.encode(), value=value, headers=[header]
        )
        return int(sent.get(timeout=15).offset)
    finally:
        close_producer(producer)  # what was not confirmed must not come after something newer


def _read(record: Record) -> Said | None:
    if record.value is None:
        return None
    event = decode(Topic.RELEASES, record.value, record.headers)
    if isinstance(event, Said):
        return event
    _log.warning("announcement passed over", offset=record.offset, why=str(event))
    return None
