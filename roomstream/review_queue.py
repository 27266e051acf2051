"""The listings that people are asked about and that nobody has labelled yet."""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Literal

from roomstream.reading import TopicReader
from runtime.records import Record
from runtime.settings import KafkaSettings
from schemas.codec import decode, listing_text
from schemas.events import Deletion, Event, Feedback, LabelledEvent, ReviewRequest
from schemas.topics import Topic

Counted = Callable[[Iterable[Record]], Iterable[Record]]
Reason = Literal["any", "uncertain", "random"]


class ReviewQueue:
    """
    Gathers requests; then labels and deletions strike off what needs no answer any more.

    Of a listing the newest request counts. It is struck off by a label or a deletion from after the
    listing was published so, and by a label of the same words whenever it was given. What a person
    rejected is still without a label: it stays.
    """

    def __init__(self) -> None:
        self._requests: dict[str, ReviewRequest] = {}

    def ask(self, request: ReviewRequest) -> None:
        """Note a request."""
        listing = request.event.listing_id
        known = self._requests.get(listing)
        if known is None or known.requested_at <= request.requested_at:
            self._requests[listing] = request

    def strike(self, event: Event) -> None:
        """Note a label or a deletion, after all requests."""
        if not isinstance(event, LabelledEvent | Feedback | Deletion):
            return
        request = self._requests.get(event.listing_id)
        if request is not None and _answers(event, request):
            del self._requests[event.listing_id]

    def waiting(self, reason: Reason = "any", oldest_first: bool = False) -> list[ReviewRequest]:
        """What is left: the most uncertain first, or the oldest; equal ones in the order of asking."""
        chosen = [each for each in self._requests.values() if reason in ("any", each.reason)]
        chosen.sort(key=lambda each: each.requested_at)
        return chosen if oldest_first else sorted(chosen, key=lambda x: -entropy(x.scores))


def read_queue(kafka: KafkaSettings, prefix: str, counted: Counted = iter) -> ReviewQueue:
    """
    Read all requests, then all labels and deletions. What is no event is passed over.

    Raises:
        TryAgain: The broker cannot be reached.
    """
    queue = ReviewQueue()
    for event in _events(kafka, prefix, counted, Topic.REVIEW):
        if isinstance(event, ReviewRequest):
            queue.ask(event)
    for event in _events(kafka, prefix, counted, Topic.LABELLED, Topic.DELETIONS):
        queue.strike(event)
    return queue


def entropy(scores: dict[str, float]) -> float:
    """How uncertain scores are, in nats."""
    return -sum(score * math.log(score) for score in scores.values() if score > 0)


def labelled(request: ReviewRequest, label: str, annotator: str, at: datetime) -> LabelledEvent:
    """The answer of a person. Its id is the request's, so that a label that is sent twice counts once."""
    event, place = request.event, request.input
    name = f"{place.topic}/{place.partition}/{place.offset}/{event.event_id}"
    return LabelledEvent(
        event_id=f"review-{hashlib.sha256(name.encode()).hexdigest()[:32]}",
        listing_id=event.listing_id,
        title=event.title,
        description=event.description,
        label=label,
        labelled_at=at,
        origin="person",
        propensity=request.propensity,
        annotator=annotator,
        language=event.language,
        source=event.source,
    )


def _answers(event: LabelledEvent | Feedback | Deletion, request: ReviewRequest) -> bool:
    published = request.event.occurred_at
    if isinstance(event, Deletion):
        return event.deleted_at >= published
    if isinstance(event, Feedback) and not event.accepted:
        return False
    return event.labelled_at >= published or (
        listing_text(event.title, event.description)
        == listing_text(request.event.title, request.event.description)
    )


def _events(kafka: KafkaSettings, prefix: str, counted: Counted, *topics: Topic) -> Iterator[Event]:
    with TopicReader(kafka, prefix, *topics) as reader:
        for record in counted(reader.read_to_end()):
            topic = Topic(record.topic.removeprefix(prefix))
            event = decode(topic, record.value or b"", record.headers)
            if isinstance(event, Event):
                yield event
