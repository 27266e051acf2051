"""Run the trainer: poll, learn, follow releases, publish."""

import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from typing import Any

import structlog
from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError

from artefacts.errors import ReleaseError, ReleaseMissing, StoreError
from runtime.announcements import Announcements
from runtime.dead_letters import shortened
from runtime.health import Health, Port
from runtime.kafka import kafka_arguments, probe
from runtime.records import Outbound
from runtime.settings import KafkaSettings, SharedSettings, env_name
from runtime.stopping import stop_on_signals
from runtime.topics import require_topics
from runtime.watchdog import Watchdog
from schemas.errors import ExitCode, TryAgain
from schemas.events import ReleaseAnnouncement
from trainer.database import Database
from trainer.inbox import Inbox
from trainer.learning import Learning
from trainer.live import LiveRelease, Releases
from trainer.metrics import TrainerMetrics
from trainer.publishing import Publishing
from trainer.settings import TrainerSettings

_log = structlog.get_logger(__name__)

_POLL_SECONDS = 0.2
_RETRY_SECONDS = 5.0
_DELIVERY_SECONDS = 30
_MAX_REQUEST_BYTES = 16 * 1024 * 1024


def run_trainer(kafka: KafkaSettings, shared: SharedSettings, trainer: TrainerSettings) -> int:
    """
    Learn and publish until SIGTERM or SIGINT.

    Returns:
        The exit code of the process.

    Raises:
        RoomstreamError: What is wrong with the world; carries the exit code.
    """
    stop = stop_on_signals()
    metrics = TrainerMetrics()
    health = Health("release", "labels")
    with ExitStack() as stack:
        option = env_name(TrainerSettings, "metrics_port")
        port = stack.enter_context(
            closing(
                Port(shared.listen_host, trainer.metrics_port, health, metrics.registry, option)
            )
        )
        probe(kafka)
        require_topics(kafka, shared.topic_prefix)
        database = stack.enter_context(Database(trainer.database))
        announcements = stack.enter_context(closing(Announcements(kafka, shared.topic_prefix)))
        releases = Releases(shared.cache, trainer.threads)
        following = Following(announcements, releases, metrics, health)
        live = following.start(trainer.release_wait_seconds)
        letters = stack.enter_context(closing(DeadLetters(kafka)))
        learning = Learning(database, trainer, shared.topic_prefix, live, letters.deliver, metrics)
        publishing = Publishing(kafka, shared, trainer, database, releases, metrics)
        offsets = {(part.topic, part.partition): part.next for part in database.ranges()}
        inbox = stack.enter_context(
            closing(Inbox(kafka, shared.topic_prefix, offsets, trainer.max_batch))
        )
        health.set("labels", True, "labels are read")
        _log.info("learning", learner=trainer.learner, port=port.port, live=live.manifest.release)
        watchdog = Watchdog(trainer.watchdog_seconds)
        Loop(inbox, learning, following, publishing, metrics).run(stop, watchdog)
    _log.info("stopped: everything learned is in the database")
    return ExitCode.DONE


class Loop:
    """One mini-batch after another, and a release when one is due."""

    def __init__(
        self,
        inbox: Inbox,
        learning: Learning,
        following: "Following",
        publishing: Publishing,
        metrics: TrainerMetrics,
    ) -> None:
        self._inbox = inbox
        self._learning = learning
        self._following = following
        self._publishing = publishing
        self._metrics = metrics

    def run(self, stop: threading.Event, watchdog: Watchdog) -> None:
        """Go on until told to stop; a step that hangs ends the process."""
        while not stop.is_set():
            with watchdog:
                self._step()

    def _step(self) -> None:
        records = self._inbox.poll(_POLL_SECONDS)
        if records:
            self._learning.step(records)
        for (topic, partition), lag in self._inbox.lag().items():
            self._metrics.lag.labels(topic, str(partition)).set(lag)
        if self._following.newer():
            self._learning.follow(self._following.live)
        if overtaken := self._following.overtaken():
            self._publishing.repeat(overtaken)
        if not self._following.undecided and self._publishing.due(self._following.live):
            live = self._publishing.run(self._learning.learner, self._following.live)
            self._following.is_ours(live)


class Following:
    """
    What is live, whoever announced it.

    Args:
        announcements: Read for newer ones.
        releases: Loads them.
        metrics: Shows which is live.
        health: Its condition `release` is met once one is loaded.
    """

    def __init__(
        self,
        announcements: Announcements,
        releases: Releases,
        metrics: TrainerMetrics,
        health: Health,
    ) -> None:
        self._announcements = announcements
        self._releases = releases
        self._metrics = metrics
        self._health = health
        self._pending: ReleaseAnnouncement | None = None
        self._unread: list[ReleaseAnnouncement] = []  # ours, until we read them back
        self._before_ours: ReleaseAnnouncement | None = None
        self._overtaken: ReleaseAnnouncement | None = None
        self._retry_at = 0.0
        self._shown: str | None = None
        self.live: LiveRelease

    def start(self, wait_seconds: float) -> LiveRelease:
        """
        Load what is live, waiting for its announcement.

        Raises:
            ReleaseError: None was announced in time, or it cannot be served.
            StoreError: It cannot be fetched.
        """
        announcement = self._announcements.wait_for("live", wait_seconds)
        if announcement is None:
            raise ReleaseMissing(
                f"No live release was announced within {wait_seconds:g} s. Make one with "
                "'roomstream base import', or announce one with 'roomstream releases promote'."
            )
        self.is_live(self._releases.load(announcement))
        return self.live

    def newer(self) -> bool:
        """Look for announcements of others; return whether another release was taken up."""
        self._look()
        if self._pending is None or time.monotonic() < self._retry_at:
            return False
        announcement, self._pending = self._pending, None
        if announcement.release == self.live.manifest.release:
            self.is_live(LiveRelease(announcement, self.live.classifier))  # perhaps pinned now
            return False
        return self._take_up(announcement)

    @property
    def undecided(self) -> bool:
        """Whether somebody made a release live that could not be fetched yet."""
        return self._pending is not None

    def is_ours(self, live: LiveRelease) -> None:
        """Note what is live after we made a candidate."""
        if live is not self.live:
            self._unread.append(live.announcement)
        self.is_live(live)

    def overtaken(self) -> ReleaseAnnouncement | None:
        """
        What somebody announced while we announced ours, so that ours hides it on the topic.

        It counts, or a rollback in that moment would not hold: announce it again.
        """
        found, self._overtaken = self._overtaken, None
        return found

    def _look(self) -> None:
        for announcement in self._announcements.poll(0):
            if announcement.channel != "live":
                continue
            if not self._unread:
                self._pending = announcement
            elif announcement in self._unread:
                del self._unread[: self._unread.index(announcement) + 1]
                self._settle()
            else:
                self._before_ours = announcement

    def _settle(self) -> None:
        """Once all of ours were read back, what stands before them is known."""
        if not self._unread and self._before_ours is not None:
            self._pending = self._overtaken = self._before_ours
            self._before_ours = None

    def is_live(self, live: LiveRelease) -> None:
        """Note what is live."""
        self.live = live
        release = live.manifest.release
        if self._shown == release:
            return
        if self._shown is not None:
            self._metrics.live_release.remove(self._shown)
        self._shown = release
        self._metrics.live_release.labels(release).set(1)
        self._health.set("release", True, f"{release} is live")

    def _take_up(self, announcement: ReleaseAnnouncement) -> bool:
        try:
            live = self._releases.load(announcement)
        except StoreError as error:
            _log.warning("release cannot be fetched: trying again", why=str(error))
            self._pending, self._retry_at = announcement, time.monotonic() + _RETRY_SECONDS
            return False
        except ReleaseError as error:
            _log.error("release refused", release=announcement.release, why=str(error))
            return False
        _log.info(
            "somebody else made a release live",
            release=announcement.release,
            pinned=announcement.pinned,
            why=announcement.why,
        )
        self.is_live(live)
        return True


class DeadLetters:
    """
    Sends dead letters, each confirmed by the broker.

    Args:
        kafka: How to reach Kafka.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._producer: KafkaProducer | None = None

    def deliver(self, letters: Sequence[Outbound]) -> None:
        """
        Send letters and wait until the brokers hold them.

        Raises:
            TryAgain: They do not.
        """
        if not letters:
            return
        try:
            sent = [(letter, self._begin(letter)) for letter in letters]
            for letter, confirmation in sent:
                try:
                    confirmation.get(timeout=_DELIVERY_SECONDS)
                except MessageSizeTooLargeError:
                    _log.warning("too large for the topic: cut short", topic=letter.topic)
                    self._begin(shortened(letter)).get(timeout=_DELIVERY_SECONDS)
        except KafkaError as error:
            raise TryAgain(
                f"Dead letters could not be delivered: {error}. Nothing of this batch was learned; it "
                "comes again."
            ) from error

    def _begin(self, letter: Outbound) -> Any:
        if self._producer is None:
            self._producer = KafkaProducer(
                **kafka_arguments(self._kafka),
                acks="all",
                enable_idempotence=False,  # an idempotent one is dead after one refusal
                max_request_size=_MAX_REQUEST_BYTES,  # what is too large is the topic's decision
            )
        return self._producer.send(
            letter.topic, key=letter.key, value=letter.value, headers=list(letter.headers)
        )

    def close(self) -> None:
        """Leave."""
        if self._producer is not None:
            self._producer.close(timeout=5)
