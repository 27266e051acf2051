"""What a demo sees from outside: results on their topics, and which releases are announced."""

import threading
import time
from collections import deque
from dataclasses import dataclass, field

from artefacts.manifest import OffsetRange
from artefacts.store import Store
from roomstream.demo.label_clock import LabelClock
from roomstream.demo.ledger import Answer, Ledger
from roomstream.demo.view import Sample
from roomstream.listings import Listing
from roomstream.reading import TopicReader
from runtime.announcements import Announcements
from runtime.dead_letters import read_dead_letter, replayed_offset
from runtime.records import Record
from schemas.codec import decode
from schemas.events import Classification
from schemas.topics import Topic

SAMPLE_SECONDS = 0.35


@dataclass
class Results:
    """
    Reads what the workers write, from the start, into the ledger.

    Attributes:
        truth: What each listing is, by event id.
        samples: Takes a few answers a second, to show.
        refused_labels: Dead letters that the trainer wrote.
    """

    ledger: Ledger
    prefix: str
    truth: dict[str, Listing]
    samples: deque[Sample]
    refused_labels: int = 0
    _sampled_at: float = 0.0

    def read(self, reader: TopicReader, stopping: threading.Event) -> None:
        """Read until told to stop, then what is left."""
        while not stopping.is_set():
            self._take(reader.poll())
        while records := reader.poll(1.0):
            self._take(records)

    def _take(self, records: list[Record]) -> None:
        for record in records:
            if record.topic == Topic.DEAD.named(self.prefix):
                self._dead(record)
            else:
                self._classified(record)

    def _dead(self, record: Record) -> None:
        if replayed_offset(record) is not None:
            return
        letter = read_dead_letter(record)
        if letter.topic == Topic.LISTINGS.named(self.prefix):
            self.ledger.died((letter.partition, letter.offset), letter.error)
        else:
            self.refused_labels += 1

    def _classified(self, record: Record) -> None:
        event = decode(Topic.CLASSIFIED, record.value or b"", record.headers)
        if not isinstance(event, Classification):
            raise TypeError(f"a worker wrote to 'classified' what is no classification: {event}")
        position = (event.input.partition, event.input.offset)
        self.ledger.answered(
            position, Answer(event.event_id, event.label, event.confidence, event.release)
        )
        self._show(event)

    def _show(self, event: Classification) -> None:
        listing, now = self.truth.get(event.event_id), time.monotonic()
        if listing is not None and now - self._sampled_at > SAMPLE_SECONDS:
            self._sampled_at = now
            self.samples.append(
                Sample(
                    listing.language, listing.title, event.label, event.confidence, listing.label
                )
            )


@dataclass
class Releases:
    """
    Follows what is announced as live.

    Attributes:
        announced: The releases in the order of their announcement.
    """

    store: Store
    clock: LabelClock
    labelled_topic: str
    announced: list[str] = field(default_factory=list)

    def follow(self, announcements: Announcements, stopping: threading.Event) -> None:
        """Read announcements until told to stop."""
        try:
            while not stopping.is_set():
                for announcement in announcements.poll(0.1):
                    if announcement.channel == "live":
                        self._announced(announcement.release, announcement.manifest_digest)
        finally:
            announcements.close()

    def _announced(self, release: str, digest: str) -> None:
        if release not in self.announced:
            self.announced.append(release)
        self.clock.published(release, self._learned_from(release, digest))

    def _learned_from(self, release: str, digest: str) -> list[OffsetRange]:
        ranges = self.store.manifest(release, digest).lineage.ranges
        return [r for r in ranges if r.topic == self.labelled_topic]
