"""Labelled listings of a tiny release's vocabulary, as events and as records."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime

from runtime.records import Record
from schemas.codec import encode
from schemas.events import Deletion, Event, Feedback, LabelledEvent
from tests.releases import FILLERS, ROOM_TYPES, WORDS
from trainer.holdout import is_held_out

AT = datetime(2026, 11, 24, 9, tzinfo=UTC)
SHARE = 0.1


def labelled(
    number: int,
    label: str | None = None,
    title: str | None = None,
    event_id: str | None = None,
    source: str | None = None,
    at: datetime = AT,
) -> LabelledEvent:
    """
    A label that fits its title, unless another one is given.

    Args:
        number: Of the listing; decides what it is.
        label: What is said of it, if not the truth.
        title: Its text, if not words of its class.
        event_id: If not `e-<number>`.
        source: Where the listing comes from.
        at: When it was labelled.
    """
    chance = random.Random(number)
    truth = ROOM_TYPES[number % len(ROOM_TYPES)]
    words = [*chance.sample(WORDS[truth], 2), *chance.sample(FILLERS, 2)]
    return LabelledEvent(
        event_id=event_id or f"e-{number}",
        listing_id=f"l-{number}",
        title=" ".join(words) if title is None else title,
        label=label or truth,
        labelled_at=at,
        origin="person",
        source=source,
    )


def objection(number: int, label: str) -> Feedback:
    """Somebody says that a listing is not of this label."""
    return Feedback(
        event_id=f"o-{number}-{label}",
        listing_id=f"l-{number}",
        title="no",
        label=label,
        accepted=False,
        labelled_at=AT,
    )


def deletion(number: int) -> Deletion:
    """A listing must be forgotten."""
    return Deletion(event_id=f"d-{number}", listing_id=f"l-{number}", deleted_at=AT)


def record(event: Event, offset: int, partition: int = 0) -> Record:
    """An event as the broker would hold it."""
    topic = "deletions" if isinstance(event, Deletion) else "labelled"
    value, header = encode(event)
    return Record(topic, partition, offset, b"key", value, (header,), 1_000 + offset)


def records(events: Sequence[Event], first: int = 0) -> list[Record]:
    """Events at consecutive offsets."""
    return [record(event, first + place) for place, event in enumerate(events)]


def learned_numbers(count: int, held_out: bool = False, start: int = 0) -> list[int]:
    """The first listings that are learned, or held out."""
    found: list[int] = []
    number = start
    while len(found) < count:
        if is_held_out(f"l-{number}", SHARE) == held_out:
            found.append(number)
        number += 1
    return found
