"""The parts of a demo that run side by side, and the figures they give together."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kafka.errors import KafkaError

from artefacts.store import Store
from roomstream.demo.activities import Activities
from roomstream.demo.figures import rolling_accuracy
from roomstream.demo.fleet import Fleet
from roomstream.demo.label_clock import LabelClock
from roomstream.demo.labels import Labels
from roomstream.demo.learned import labels_taken
from roomstream.demo.ledger import Account, Ledger
from roomstream.demo.options import DemoOptions
from roomstream.demo.stage import Stage
from roomstream.demo.traffic import Traffic
from roomstream.demo.view import Progress
from roomstream.demo.watching import Releases, Results
from roomstream.listings import Message
from roomstream.reading import TopicReader
from roomstream.sending import Sender
from runtime.announcements import Announcements
from schemas.topics import Topic

RATE_SECONDS = 5.0


@dataclass
class Parts:
    """
    The parts of a running demo.

    Attributes:
        people_stopping: Set it when people should give no more labels.
        people_gone: Set when they do not any more.
    """

    stage: Stage
    ledger: Ledger
    clock: LabelClock
    labels: Labels
    traffic: Traffic
    results: Results
    releases: Releases
    fleet: Fleet
    activities: Activities
    sender: Sender
    people_stopping: threading.Event = field(default_factory=threading.Event)
    people_gone: threading.Event = field(default_factory=threading.Event)
    _answered: deque[tuple[float, int]] = field(default_factory=deque)
    _committed: dict[int, int] = field(default_factory=dict)

    def start(self) -> None:
        """Open the doors: listings come in, results go out, people answer."""
        self.activities.start("traffic", self.traffic.send_all)
        self.activities.start("people", self._review)
        self.activities.start("results", self._read_results)
        self.activities.start("releases", self._follow_releases)
        self.activities.start("metrics", lambda stopping: self.fleet.watch(self.clock, stopping))

    def check(self) -> None:
        """Raise what went wrong in any part."""
        self.activities.check()
        self.fleet.check()

    def account(self) -> Account:
        """What has become of the messages."""
        with contextlib.suppress(KafkaError):  # a broker that is busy now knows no less than before
            self._committed = self.stage.committed()
        return self.ledger.account(self._committed)

    def show(self, progress: Progress) -> None:
        """Bring the figures up to date."""
        progress.sent = self.traffic.sent
        progress.answered, progress.dead = len(self.ledger.answers), len(self.ledger.dead)
        progress.lag = self.traffic.unanswered
        progress.per_second = self._rate(progress.answered)
        progress.labels_sent, progress.labels_live = self.labels.sent, len(self.clock.seconds)
        progress.labels_learned, progress.labels_doubted = labels_taken(self.stage.database)
        progress.accuracy = rolling_accuracy(self.ledger.judged())
        progress.releases = len(self.releases.announced)
        progress.release = self.releases.announced[-1] if self.releases.announced else None
        progress.reloads = self.fleet.reloads
        progress.restarts = self.fleet.worker_restarts + self.fleet.trainer_restarts

    def _rate(self, answered: int) -> float:
        now = time.monotonic()
        self._answered.append((now, answered))
        while self._answered[0][0] < now - RATE_SECONDS:
            self._answered.popleft()
        since, before = self._answered[0]
        return (answered - before) / (now - since) if now > since else 0.0

    def _review(self, stopping: threading.Event) -> None:
        with TopicReader(self.stage.kafka, self.stage.prefix, Topic.REVIEW) as reader:
            while not (stopping.is_set() or self.people_stopping.is_set()):
                self.traffic.review(reader.poll())
        self.people_gone.set()

    def _read_results(self, stopping: threading.Event) -> None:
        topics = (Topic.CLASSIFIED, Topic.DEAD)
        with TopicReader(self.stage.kafka, self.stage.prefix, *topics) as reader:
            self.results.read(reader, stopping)

    def _follow_releases(self, stopping: threading.Event) -> None:
        self.releases.follow(Announcements(self.stage.kafka, self.stage.prefix), stopping)


@contextlib.contextmanager
def open_parts(
    options: DemoOptions, messages: Sequence[Message], stage: Stage, progress: Progress
) -> Iterator[Parts]:
    """
    Make the parts; workers and trainer start at once and have drained when this is left.

    Raises:
        TryAgain: The broker cannot be reached.
    """
    ledger, clock = Ledger(), LabelClock()
    labels = Labels(options.labelled, options.seed)
    with Sender(stage.kafka, stage.prefix) as sender, Activities() as activities:
        traffic = Traffic(
            messages, sender, ledger, clock, labels, lambda: labels_taken(stage.database).all
        )
        with Fleet(stage, labels.people_share) as fleet:
            yield Parts(
                stage,
                ledger,
                clock,
                labels,
                traffic,
                Results(ledger, stage.prefix, traffic.truth, progress.samples),
                Releases(Store(stage.shared.store), clock, Topic.LABELLED.named(stage.prefix)),
                fleet,
                activities,
                sender,
            )
