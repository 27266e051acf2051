"""What tests draw at random: every event, JSON of any shape, and damage to bytes."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from schemas.codec import schema_name
from schemas.events import (
    Classification,
    Deletion,
    Event,
    Feedback,
    FineTuneRequest,
    InputPosition,
    LabelledEvent,
    ListingEvent,
    ReleaseAnnouncement,
    ReviewRequest,
    TrainerClaim,
)
from schemas.topics import TOPICS, Topic

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)

# Lone surrogates are no characters: UTF-8 cannot write them.
CHARACTERS = st.characters(exclude_categories=["Cs"])
SEEN = st.characters(
    categories=["L", "N", "P", "S"], exclude_characters="\u115f\u1160\u2800\u3164\uffa0"
)


def texts(longest: int, shortest: int = 0) -> st.SearchStrategy[str]:
    """Any characters, line breaks and emojis too."""
    return st.text(CHARACTERS, min_size=shortest, max_size=min(longest, 40)) | st.sampled_from(
        ["x" * longest, "🌿" * longest]
    )


names = texts(200, 1)
titles = st.builds(lambda start, seen, end: start + seen + end, texts(900), SEEN, texts(900))
labels = st.builds(lambda start, seen: start + seen, texts(60), SEEN)
probabilities = st.floats(0, 1)
epochs = st.integers(1, 9_999_999_999)
propensities = st.floats(0, 1, exclude_min=True)
scores = st.dictionaries(labels, probabilities, max_size=5)
# Not the first and the last day of the calendar, which have no UTC in some time zones.
times = st.datetimes(
    datetime(1, 1, 2),
    datetime(9999, 12, 30),
    timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
positions = st.builds(
    InputPosition,
    topic=texts(249, 1),
    partition=st.integers(0, 2**31 - 1),
    offset=st.integers(0, 2**63 - 1),
)
listings = st.builds(
    ListingEvent,
    event_id=names,
    listing_id=names,
    title=titles,
    description=st.none() | texts(2_000),
    language=st.none() | texts(35),
    occurred_at=times,
    source=st.none() | texts(200),
)

_BY_TYPE: dict[type[Event], st.SearchStrategy[Any]] = {
    ListingEvent: listings,
    Classification: st.builds(
        Classification,
        event_id=names,
        listing_id=names,
        label=labels,
        scores=scores,
        confidence=probabilities,
        needs_review=st.booleans(),
        release=texts(100, 1),
        input=positions,
        classified_at=times,
        propensity=st.none() | propensities,
    ),
    ReviewRequest: st.builds(
        ReviewRequest,
        event=listings,
        label=labels,
        scores=scores,
        reason=st.sampled_from(["uncertain", "random"]),
        propensity=propensities,
        release=texts(100, 1),
        input=positions,
        requested_at=times,
    ),
    LabelledEvent: st.builds(
        LabelledEvent,
        event_id=names,
        listing_id=names,
        title=titles,
        description=st.none() | texts(2_000),
        label=labels,
        labelled_at=times,
        origin=st.sampled_from(["person", "rule", "import"]),
        propensity=st.none() | propensities,
        annotator=st.none() | texts(100),
        checked=st.booleans(),
        language=st.none() | texts(35),
        source=st.none() | texts(200),
    ),
    Feedback: st.builds(
        Feedback,
        event_id=names,
        listing_id=names,
        title=titles,
        description=st.none() | texts(2_000),
        label=labels,
        accepted=st.booleans(),
        labelled_at=times,
        propensity=st.none() | propensities,
        language=st.none() | texts(35),
        source=st.none() | texts(200),
    ),
    Deletion: st.builds(Deletion, event_id=names, listing_id=names, deleted_at=times),
    ReleaseAnnouncement: st.builds(
        ReleaseAnnouncement,
        channel=st.sampled_from(["live", "shadow", "canary"]),
        release=texts(100, 1),
        manifest_digest=st.text("0123456789abcdef", min_size=64, max_size=64),
        store=texts(200),
        share=probabilities,
        pinned=st.booleans(),
        why=texts(1_000),
        announced_at=times,
        epoch=st.none() | epochs,
    ),
    TrainerClaim: st.builds(TrainerClaim, epoch=epochs, trainer=names, claimed_at=times),
    FineTuneRequest: st.builds(
        FineTuneRequest, request_id=names, why=texts(500), requested_at=times
    ),
}

messages: list[tuple[Topic, type[Event]]] = [
    (spec.topic, event) for spec in TOPICS for event in spec.events
]
"""Every event type with its topic."""


def events(event_type: type[Event]) -> st.SearchStrategy[Event]:
    """Valid events of a type."""
    return _BY_TYPE[event_type]


topics = st.sampled_from(list(Topic))
headers = st.lists(
    st.tuples(
        st.sampled_from(["schema", "traceparent"]),
        st.none()
        | st.binary(max_size=30)
        | st.sampled_from([schema_name(event).encode() for _, event in messages]),
    ),
    max_size=3,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=8,
)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """The bytes with up to four stretches overwritten, cut out or inserted."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 20)))
        data[start:end] = draw(st.binary(max_size=8))
    return bytes(data)
