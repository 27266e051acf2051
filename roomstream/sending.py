"""Sending listings and labels to Kafka, at a pace."""

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self
from uuid import uuid4

from kafka import KafkaProducer
from kafka.errors import KafkaError

from roomstream.listings import Listing, labelled_event, listing_message
from runtime.kafka import close_producer, kafka_arguments, probe
from runtime.records import HeaderTuple
from runtime.settings import KafkaSettings
from schemas.codec import encode
from schemas.errors import TryAgain
from schemas.events import Feedback, LabelledEvent
from schemas.topics import Topic

Placed = Callable[[int, int], None]  # takes the partition and the offset


class Pace:
    """
    Spreads work evenly over time.

    Args:
        per_second: How many steps a second; None: as fast as they come.
    """

    def __init__(self, per_second: float | None) -> None:
        self._step = 1 / per_second if per_second else 0.0
        self._due = time.monotonic()

    def wait(self) -> None:
        """Sleep until the next step is due. Time lost is not caught up."""
        pause = self._due - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        self._due = max(self._due, time.monotonic() - self._step) + self._step


class Sender:
    """
    Writes to the topics that a listing's owner writes to.

    A context manager: leaving it waits until the broker has everything.

    Raises:
        TryAgain: The broker cannot be reached, or did not take a message.
    """

    def __init__(self, kafka: KafkaSettings, prefix: str) -> None:
        self._prefix = prefix
        self._servers = kafka.bootstrap_servers
        self._error: BaseException | None = None
        probe(kafka)
        self._producer = KafkaProducer(**kafka_arguments(kafka), acks="all", linger_ms=5)

    def send(
        self,
        topic: Topic,
        key: bytes,
        value: bytes | None,
        headers: HeaderTuple = (),
        placed: Placed | None = None,
    ) -> None:
        """Send a message; `placed` is called when the broker has it, with its place."""
        self._check()
        try:
            future = self._producer.send(
                topic.named(self._prefix), value=value, key=key, headers=list(headers)
            )
        except KafkaError as error:
            raise self._failed(error) from error
        future.add_errback(self._note)
        if placed is not None:
            future.add_callback(lambda metadata: placed(metadata.partition, metadata.offset))

    def send_label(self, event: LabelledEvent | Feedback, placed: Placed | None = None) -> None:
        """Send a label."""
        value, header = encode(event)
        self.send(Topic.LABELLED, event.listing_id.encode(), value, (header,), placed)

    def flush(self) -> None:
        """Wait until the broker has everything."""
        try:
            self._producer.flush(timeout=60)
        except KafkaError as error:
            raise self._failed(error) from error
        self._check()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.flush()
        finally:
            close_producer(self._producer)

    def _note(self, error: BaseException) -> None:
        self._error = self._error or error

    def _check(self) -> None:
        if self._error is not None:
            raise self._failed(self._error)

    def _failed(self, error: BaseException) -> TryAgain:
        return TryAgain(
            f"Kafka at {self._servers} did not take a message: {error}. "
            "Check that the brokers are up and that the topics exist ('roomstream topics list')."
        )


@dataclass(frozen=True)
class Sent:
    """How much was sent."""

    events: int
    labels: int


def send_listings(
    kafka: KafkaSettings,
    prefix: str,
    listings: Iterable[Listing],
    rate: float | None = None,
    labelled: float = 0.0,
    seed: int = 1,
) -> Sent:
    """
    Send listings as events, and the labels of a random share of them.

    Args:
        kafka: Where to.
        prefix: Of the topics.
        listings: In the order of sending.
        rate: Events per second; None: as fast as the broker takes them.
        labelled: The share of listings, in [0, 1], whose label is sent too if it is known.
        seed: Chooses that share.

    Raises:
        TryAgain: The broker did not take a message.
        ConfigurationError: The listings come from a file that cannot be read on.
    """
    chance, pace = random.Random(seed), Pace(rate)  # noqa: S311 - a reproducible share, no secret
    events = labels = 0
    with Sender(kafka, prefix) as sender:
        for listing in listings:
            pace.wait()
            message = listing_message(listing, uuid4().hex, datetime.now(UTC))
            sender.send(Topic.LISTINGS, message.key, message.value, message.headers)
            events += 1
            if listing.label is not None and chance.random() < labelled:
                sender.send_label(_imported(listing, listing.label, labelled))
                labels += 1
    return Sent(events, labels)


def _imported(listing: Listing, label: str, propensity: float) -> LabelledEvent:
    return labelled_event(listing, label, uuid4().hex, datetime.now(UTC), "import", propensity)
