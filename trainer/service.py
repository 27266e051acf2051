"""Run the trainer: poll, learn, follow releases, publish."""

import threading
from contextlib import ExitStack, closing
from dataclasses import dataclass

import structlog

from runtime.announcements import Announcements
from runtime.broker_watch import BrokerWatch
from runtime.health import Health, Port
from runtime.permissions import permitted, trainer_access
from runtime.settings import KafkaSettings, SharedSettings, env_name
from runtime.stopping import stop_on_signals
from runtime.watchdog import Watchdog
from schemas.errors import ExitCode
from trainer.database import Database
from trainer.dead_letters import DeadLetters
from trainer.following import Following
from trainer.inbox import Inbox
from trainer.learning import Learning
from trainer.live import Releases
from trainer.metrics import TrainerMetrics
from trainer.publishing import Publishing
from trainer.settings import TrainerSettings

_log = structlog.get_logger(__name__)

_POLL_SECONDS = 0.2


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
        access = trainer_access(shared.topic_prefix)
        stack.enter_context(permitted(kafka, shared.topic_prefix, access))
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
        brokers = stack.enter_context(closing(BrokerWatch(kafka, trainer.watchdog_seconds)))
        _log.info("learning", learner=trainer.learner, port=port.port, live=live.manifest.release)
        loop = Loop(inbox, learning, following, publishing, brokers, metrics, health)
        loop.run(stop, Watchdog(trainer.watchdog_seconds))
    _log.info("stopped: everything learned is in the database")
    return ExitCode.DONE


@dataclass(frozen=True)
class Loop:
    """One mini-batch after another, and a release when one is due."""

    inbox: Inbox
    learning: Learning
    following: Following
    publishing: Publishing
    brokers: BrokerWatch
    metrics: TrainerMetrics
    health: Health

    def run(self, stop: threading.Event, watchdog: Watchdog) -> None:
        """
        Go on until told to stop; a step that hangs ends the process.

        Raises:
            TryAgain: The brokers have been out of reach for too long.
        """
        while not stop.is_set():
            self.brokers.check()
            fault = self.brokers.fault
            self.health.set("labels", not fault, fault or "labels are read")
            with watchdog:
                self._step()

    def _step(self) -> None:
        records = self.inbox.poll(_POLL_SECONDS)
        if records:
            self.learning.step(records)
        for (topic, partition), lag in self.inbox.lag().items():
            self.metrics.lag.labels(topic, str(partition)).set(lag)
        if self.following.newer():
            self.learning.follow(self.following.live)
        if overtaken := self.following.overtaken():
            self.publishing.repeat(overtaken)
        if not self.following.undecided and self.publishing.due(self.following.live):
            live = self.publishing.run(self.learning.learner, self.following.live)
            self.following.is_ours(live)
