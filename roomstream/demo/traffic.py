"""Upstream and people: listings that arrive, some with their label, and a reviewer who answers."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from roomstream.demo.label_clock import LabelClock
from roomstream.demo.labels import Labels
from roomstream.demo.ledger import Ledger
from roomstream.listings import Listing, Message, labelled_event
from roomstream.sending import Pace, Sender
from runtime.records import Record
from schemas.codec import decode
from schemas.events import ReviewRequest
from schemas.topics import Topic

TRAFFIC_SECONDS = 70
SLOWEST_PER_SECOND = 30
MAX_UNANSWERED = 160
PORTIONS = 8
"""In so many at least the trainer learns the labels, so that several releases come of them."""


@dataclass
class Traffic:
    """
    Sends the messages of a demo as fast as the workers and the trainer keep up, and labels.

    Attributes:
        labels_taken: Says how many labels the trainer has learned or holds back.
    """

    messages: Sequence[Message]
    sender: Sender
    ledger: Ledger
    clock: LabelClock
    labels: Labels
    labels_taken: Callable[[], int]
    sent: int = 0
    tombstones: int = 0
    done: bool = False
    truth: dict[str, Listing] = field(default_factory=dict)
    _taken: int = 0

    @property
    def unanswered(self) -> int:
        """Messages under way: sent, and neither answered nor dead nor a tombstone."""
        return max(0, self.sent - self.tombstones - self.ledger.outcomes)

    def send_all(self, stopping: threading.Event) -> None:
        """Send all messages, in order; who is slower sets the pace, be it workers or trainer."""
        pace = Pace(max(SLOWEST_PER_SECOND, len(self.messages) / TRAFFIC_SECONDS))
        for number, message in enumerate(self.messages):
            while self._too_far_ahead() and not stopping.wait(0.05):
                pass
            if stopping.is_set():
                return
            pace.wait()
            self._send(number, message)
        self.sender.flush()
        self.done = True

    def review(self, records: Sequence[Record]) -> None:
        """Be the people: answer some of these requests for review with the truth."""
        events = [decode(Topic.REVIEW, record.value or b"", record.headers) for record in records]
        requests = [
            event
            for event in events
            if isinstance(event, ReviewRequest) and event.event.event_id in self.truth
        ]
        for request, propensity in self.labels.review(requests, self.ledger.outcomes):
            self._send_label(request.event.event_id, "person", propensity)

    def _too_far_ahead(self) -> bool:
        if self.unanswered >= MAX_UNANSWERED:
            return True
        portion = len(self.messages) * self.labels.share / PORTIONS
        # First the cheap question, since the other one reads the trainer's database.
        if self.labels.sent - self._taken > portion:
            self._taken = self.labels_taken()
        return self.labels.sent - self._taken > portion

    def _send(self, number: int, message: Message) -> None:
        if message.event_id and message.listing and message.listing.label:
            self.truth[message.event_id] = message.listing
        self.sent += 1
        self.tombstones += message.fate == "skipped"
        self.sender.send(
            Topic.LISTINGS,
            message.key,
            message.value,
            message.headers,
            lambda partition, offset: self.ledger.placed(number, (partition, offset), message),
        )
        event_id = message.event_id
        if (
            event_id in self.truth
            and message.fate == "classified"
            and self.labels.imports(event_id)
        ):
            self._send_label(event_id, "import", self.labels.imported_share)

    def _send_label(
        self, event_id: str, origin: Literal["person", "import"], propensity: float
    ) -> None:
        listing, at = self.truth[event_id], time.monotonic()
        self.sender.send_label(
            labelled_event(
                listing,
                listing.label or "",
                f"label-{event_id}",
                datetime.now(UTC),
                origin,
                propensity,
            ),
            lambda partition, offset: self.clock.sent(partition, offset, at),
        )
