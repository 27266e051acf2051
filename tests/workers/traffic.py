"""Listings that keep coming while workers are killed, and what became of them."""

import itertools
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from runtime.settings import KafkaSettings
from schemas.topics import Topic
from tests.kafka_io import send
from tests.workers.listings import answers, listings, positions, read_answers

EVERY = 30


class Traffic:
    """Sends listings in a thread until it is stopped; remembers where each went."""

    def __init__(self, kafka: KafkaSettings, prefix: str) -> None:
        self.places: list[tuple[int, int]] = []
        self._kafka, self._topic = kafka, Topic.LISTINGS.named(prefix)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        for batch in itertools.count():
            if self._stop.wait(0.1):
                return
            self.places += send(self._kafka, self._topic, listings(EVERY, batch * EVERY))

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Send while the context lasts."""
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()


def repeats(kafka: KafkaSettings, prefix: str, places: Sequence[tuple[int, int]]) -> int:
    """Check that every place is answered, and no other; the number of repeated answers."""
    records = read_answers(kafka, prefix, places)
    found = positions(records)
    assert set(found) == set(places)
    by_event = Counter(event.event_id for event in answers(records))
    assert len(by_event) == len(places)
    return found.total() - len(places)
