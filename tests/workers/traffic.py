"""Listings that keep coming while workers are killed, and what became of them."""

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from runtime.kafka import kafka_arguments
from runtime.settings import KafkaSettings
from schemas.topics import Topic
from tests.kafka_io import Message
from tests.workers.listings import answers, listings, out_of_order, positions, read_answers

EVERY = 30
_BEAT_SECONDS = 0.1

Batch = Iterable[tuple[Topic, Message]]


def some_listings(beat: int) -> Batch:
    """What is sent ten times a second unless a test wants something else."""
    return ((Topic.LISTINGS, message) for message in listings(EVERY, beat * EVERY))


class Traffic:
    """
    Sends in a thread until it is stopped, whatever happens to the brokers meanwhile.

    Args:
        kafka: How to reach Kafka.
        prefix: What the names of topics begin with.
        batch: What to send in a beat of a tenth of a second, by the number of the beat.

    Attributes:
        places: Where each listing went that the brokers confirmed. Others may be there too: only the
            topic itself says what was sent.
        failed: Messages that were not confirmed.
    """

    def __init__(
        self, kafka: KafkaSettings, prefix: str, batch: Callable[[int], Batch] = some_listings
    ) -> None:
        self.places: list[tuple[int, int]] = []
        self.failed = 0
        self._kafka, self._prefix, self._batch = kafka, prefix, batch
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic")

    def _run(self) -> None:
        producer = self._producer()
        for beat in itertools.count():
            if self._stop.wait(_BEAT_SECONDS):
                break
            if not self._sent(producer, beat):
                producer.close(timeout=10)
                producer = self._producer()
        producer.close(timeout=120)

    def _producer(self) -> KafkaProducer:
        return KafkaProducer(
            **kafka_arguments(self._kafka),
            acks="all",
            delivery_timeout_ms=120_000,
            max_request_size=8 << 20,
        )

    def _sent(self, producer: KafkaProducer, beat: int) -> bool:
        """Send a beat's messages; False if this producer can send no more."""
        for topic, (key, value, headers) in self._batch(beat):
            try:
                future = producer.send(
                    topic.named(self._prefix), key=key, value=value, headers=list(headers)
                )
            except KafkaError:
                self.failed += 1
                return False
            future.add_errback(self._note_failure)
            if topic is Topic.LISTINGS:
                future.add_callback(self._note)
        return True

    def _note(self, confirmed: Any) -> None:
        self.places.append((confirmed.partition, confirmed.offset))

    def _note_failure(self, _: BaseException) -> None:
        self.failed += 1

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
    """Check that every place is answered in order, and no other; the number of repeated answers."""
    records = read_answers(kafka, prefix, places)
    found = positions(records)
    assert set(found) == set(places)
    assert not out_of_order(records)
    by_event = Counter(event.event_id for event in answers(records))
    assert len(by_event) == len(places)
    return found.total() - len(places)
