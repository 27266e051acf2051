"""Run the trainer: poll, learn, follow releases, publish."""

import threading
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

import structlog

from artefacts.last_served import LastServed
from artefacts.store import Store
from runtime.announcements import Announcements
from runtime.broker_watch import BrokerWatch
from runtime.health import Health, Port
from runtime.permissions import permitted, trainer_access
from runtime.same_topic import SameTopic
from runtime.settings import KafkaSettings, SharedSettings, env_name
from runtime.stopping import stop_on_signals
from runtime.watchdog import Watchdog
from schemas.errors import ExitCode, TryAgain
from schemas.topics import Topic
from trainer.contest import Contest
from trainer.database import Database
from trainer.dead_letters import DeadLetters
from trainer.drift import Drift
from trainer.finetuning.slow_path import SlowPath
from trainer.following import Following
from trainer.inbox import Inbox
from trainer.leadership import Leadership
from trainer.learning import Encoded, Learning
from trainer.live import Releases
from trainer.lock import DatabaseLock
from trainer.metrics import TrainerMetrics
from trainer.promotion import Promotion
from trainer.publishing import Publishing
from trainer.retention import Retention
from trainer.settings import TrainerSettings
from trainer.snapshots import Snapshots

_log = structlog.get_logger(__name__)

_POLL_SECONDS = 0.2


def run_trainer(kafka: KafkaSettings, shared: SharedSettings, trainer: TrainerSettings) -> int:
    """
    Learn and publish until SIGTERM or SIGINT.

    Returns:
        The exit code of the process.

    Raises:
        Stopped: It was told to stop before it had begun.
        RoomstreamError: What is wrong with the world; carries the exit code.
    """
    stop = stop_on_signals()
    metrics = TrainerMetrics()
    health = Health("leader", "release", "labels", "publishing")
    prefix, wait = shared.topic_prefix, trainer.release_wait_seconds
    with ExitStack() as stack:
        option = env_name(TrainerSettings, "metrics_port")
        port = Port(shared.listen_host, trainer.metrics_port, health, metrics.registry, option)
        stack.enter_context(closing(port))
        stack.enter_context(permitted(kafka, prefix, trainer_access(prefix), stop, wait))
        lock = stack.enter_context(closing(DatabaseLock(trainer.database)))
        brokers = stack.enter_context(closing(BrokerWatch(kafka, trainer.watchdog_seconds)))
        leadership = Leadership(kafka, prefix, trainer.session_timeout_seconds, lock)
        stack.enter_context(closing(leadership))
        if not leadership.wait(stop, health, brokers):
            _log.info("stopped: it stood by")
            return ExitCode.DONE
        epoch = leadership.claim()
        metrics.leader.set(1)
        metrics.epoch.set(epoch)
        health.set("leader", True, f"leads with epoch {epoch}")
        _log.info("leads", epoch=epoch)
        loop = _loop(
            kafka, shared, trainer, leadership, brokers, metrics, health, epoch, stop, stack
        )
        loop.run(stop)
        loop.snapshots.finish(loop.database)
    _log.info("stopped: everything learned is in the database")
    return ExitCode.DONE


def _loop(
    kafka: KafkaSettings,
    shared: SharedSettings,
    trainer: TrainerSettings,
    leadership: Leadership,
    brokers: BrokerWatch,
    metrics: TrainerMetrics,
    health: Health,
    epoch: int,
    stop: threading.Event,
    stack: ExitStack,
) -> "Loop":
    """Everything that a leader needs; what has to be closed is on the stack."""
    prefix = shared.topic_prefix
    announcements = stack.enter_context(closing(Announcements(kafka, prefix)))
    releases = Releases(shared.cache, trainer.threads)
    served = LastServed(shared.cache, prefix)
    following = Following(announcements, releases, served, metrics, health, epoch)
    live = following.start(trainer.release_wait_seconds, stop)
    snapshots = Snapshots(shared, trainer, metrics, epoch)
    snapshots.restore()
    database = stack.enter_context(Database(trainer.database))
    database.led_under(epoch)
    topics = stack.enter_context(closing(_topics(kafka, prefix)))
    for topic, identity in topics.identities.items():
        database.reads(topic, identity)
    letters = stack.enter_context(closing(DeadLetters(kafka)))
    contest = Contest(database, trainer, releases, metrics, live)
    drift = Drift(database, metrics)

    def observe(labelled: Encoded, predicted: Sequence[str | None], encoding: str) -> None:
        contest.observe(labelled, predicted, encoding)
        drift.observe(labelled, predicted)

    watchdog = Watchdog(trainer.watchdog_seconds)
    learning = Learning(
        database, trainer, prefix, live, letters.deliver, metrics, observe, watchdog.begin_again
    )
    publishing = Publishing(kafka, shared, trainer, database, releases, metrics, epoch)
    slow_path = SlowPath(
        trainer,
        database,
        learning,
        releases,
        drift,
        lambda: announcements.request,
        metrics,
        shared.log_level,
    )
    stack.enter_context(closing(slow_path))
    offsets = {(part.topic, part.partition): part.next for part in database.ranges()}
    inbox = stack.enter_context(closing(Inbox(kafka, prefix, offsets, trainer.max_batch)))
    _log.info("learning", learner=trainer.learner, live=live.manifest.release)
    return Loop(
        topics,
        inbox,
        learning,
        following,
        publishing,
        Promotion(trainer, database, contest, publishing, following, learning, slow_path, metrics),
        slow_path,
        Retention(
            Store(shared.store),
            database.candidates.made,
            trainer.keep_releases,
            lambda: {each.release for each in announcements.last.values()} | contest.compared(),
        ),
        leadership,
        snapshots,
        database,
        brokers,
        metrics,
        health,
        watchdog,
    )


def _topics(kafka: KafkaSettings, prefix: str) -> SameTopic:
    return SameTopic(kafka, Topic.LABELLED.named(prefix), Topic.DELETIONS.named(prefix))


@dataclass(frozen=True)
class Loop:
    """One mini-batch after another, and a release when one is due."""

    topics: SameTopic
    inbox: Inbox
    learning: Learning
    following: Following
    publishing: Publishing
    promotion: Promotion
    slow_path: SlowPath
    retention: Retention
    leadership: Leadership
    snapshots: Snapshots
    database: Database
    brokers: BrokerWatch
    metrics: TrainerMetrics
    health: Health
    watchdog: Watchdog

    def run(self, stop: threading.Event) -> None:
        """
        Go on until told to stop; a step that hangs ends the process.

        Raises:
            Superseded: Another trainer has taken the lead.
            TryAgain: The brokers have been out of reach for too long, nothing can be published, or a
                topic was deleted and created again.
        """
        while not stop.is_set():
            self.brokers.check()
            fault = self.brokers.fault
            self.health.set("labels", not fault, fault or "labels are read")
            fault = self.publishing.fault
            self.health.set("publishing", not fault, fault or "nothing is postponed")
            with self.watchdog:
                self._step()

    def _step(self) -> None:
        self.leadership.poll()
        records = self.inbox.poll(_POLL_SECONDS)
        if records:
            self.topics.check()
            self.learning.step(records)
        for (topic, partition), lag in self.inbox.lag().items():
            self.metrics.lag.labels(topic, str(partition)).set(lag)
        self.promotion.follow()
        self.slow_path.step(self.following.live, self.promotion.on_trial)
        if not self.publishing.waits():
            try:
                self._publish()
            except TryAgain as error:
                self.publishing.postpone(error)
        self.snapshots.step(self.database)
        self.retention.step()

    def _publish(self) -> None:
        if overtaken := self.following.overtaken():
            try:
                self.following.is_repeated(self.publishing.repeat(overtaken))
            except TryAgain:
                self.following.is_overtaken(overtaken)
                raise
        self.promotion.step()
