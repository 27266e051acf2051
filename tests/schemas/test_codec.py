"""What is sent is read, and whatever comes is an event or a value that says what is wrong."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import Rejected, decode, encode, listing_text, schema_name
from schemas.events import (
    MAX_PAYLOAD_BYTES,
    Event,
    Feedback,
    InputPosition,
    LabelledEvent,
    ListingEvent,
    ReviewRequest,
)
from schemas.topics import Topic
from tests import strategies
from tests.schemas.payloads import VALID, listing, payload


@pytest.mark.parametrize(
    ("topic", "event_type"), strategies.messages, ids=lambda value: getattr(value, "__name__", None)
)
@given(data=st.data())
def test_every_event_comes_back_as_it_was(
    topic: Topic, event_type: type[Event], data: st.DataObject
) -> None:
    """What is encoded is decoded again from its topic, equal in every field."""
    event = data.draw(strategies.events(event_type))
    value, header = encode(event)

    assert event == decode(topic, value, [header])


@given(data=st.data())
def test_a_message_without_header_is_the_first_event_of_its_topic(data: st.DataObject) -> None:
    """A plain producer needs no header."""
    event = data.draw(strategies.events(LabelledEvent))

    assert event == decode(Topic.LABELLED, encode(event)[0], [("traceparent", b"00")])


def test_the_last_of_several_headers_counts() -> None:
    """A message that was replayed with another schema is read by the newest header."""
    value = payload(Topic.LABELLED, accepted=True)
    headers = [("schema", b"labelled-event/1"), ("schema", b"feedback/1"), ("other", b"deletion/1")]

    assert isinstance(decode(Topic.LABELLED, value, headers), Feedback)
    assert isinstance(decode(Topic.LABELLED, value, headers[:1]), LabelledEvent)


def test_a_schema_is_named_by_words_and_version() -> None:
    """The header is readable without the code."""
    assert schema_name(ReviewRequest) == "review-request/1"


def test_unknown_fields_are_ignored() -> None:
    """A producer may be newer than its reader."""
    assert listing() == listing(price=80, host={"name": ["x", None]})


def test_the_last_of_two_equal_keys_counts() -> None:
    """Duplicate keys are read as almost every JSON reader does."""
    value = payload().replace(b'"title"', b'"title": 3, "title"').replace(b"3", b'"Loft"')

    assert listing() == decode(Topic.LISTINGS, value)


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("2026-11-24T14:30:00.25+05:30", "2026-11-24T09:00:00.250000Z"),
        ("2026-11-24T09:00:00-00:00", "2026-11-24T09:00:00Z"),
        ("2026-01-01T00:00:00+23:59", "2025-12-31T00:01:00Z"),
    ],
)
def test_times_are_written_in_utc(written: str, utc: str) -> None:
    """Any offset is read, and none but UTC is written."""
    event = listing(occurred_at=written)
    assert isinstance(event, ListingEvent)

    assert utc == json.loads(encode(event)[0])["occurred_at"]
    assert datetime.fromisoformat(written).astimezone(UTC) == event.occurred_at


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+05:30", "9999-12-31T23:59:59-05:30"])
def test_times_without_utc_keep_their_offset(time: str) -> None:
    """Where the calendar has no such moment in UTC the time is written as it came."""
    event = listing(occurred_at=time)
    assert isinstance(event, ListingEvent)

    assert time == json.loads(encode(event)[0])["occurred_at"]


def test_a_description_is_part_of_the_text() -> None:
    """The text is the title, followed by the description if there is one."""
    assert listing_text("Loft", "Con vistas") == "Loft\nCon vistas"
    assert listing_text("Loft", None) == listing_text("Loft", "") == "Loft"


def test_any_listing_fits_into_a_request_for_review() -> None:
    """A listing event of 64 KiB, wrapped with the scores of 100 labels, is read on its topic."""
    bare = payload(description="")
    text = "🌿" * 15_190
    text += "x" * (MAX_PAYLOAD_BYTES - len(bare) - len(text.encode()))
    event = listing(description=text)
    assert isinstance(event, ListingEvent)
    request = ReviewRequest(
        event=event,
        label="label 0",
        scores={f"label {number}".ljust(100): 0.01 for number in range(100)},
        reason="uncertain",
        propensity=1,
        release="r-1",
        input=InputPosition(topic="listings", partition=0, offset=0),
        requested_at=strategies.NOON,
    )
    value, header = encode(request)

    assert len(value) > MAX_PAYLOAD_BYTES
    assert request == decode(Topic.REVIEW, value, [header])


# --- whatever comes ---


def _can_be_written_again(topic: Topic, found: Event | Rejected) -> None:
    if isinstance(found, Rejected):
        assert len(found.message) <= 1_000
        found.message.encode()  # it travels in a header
        found.where.encode()
    else:
        value, header = encode(found)
        assert found == decode(topic, value, [header])


@given(topic=strategies.topics, value=st.binary(max_size=200), headers=strategies.headers)
def test_arbitrary_bytes_never_raise(
    topic: Topic, value: bytes, headers: list[tuple[str, bytes | None]]
) -> None:
    """Whatever the bytes and headers are, the answer is an event or a rejection."""
    _can_be_written_again(topic, decode(topic, value, headers))


@given(topic=strategies.topics, value=strategies.json_values, headers=strategies.headers)
def test_arbitrary_json_never_raises(
    topic: Topic, value: Any, headers: list[tuple[str, bytes | None]]
) -> None:
    """JSON of any shape, NaN and lone surrogates among it, is read or rejected."""
    _can_be_written_again(topic, decode(topic, json.dumps(value).encode(), headers))


@given(topic=st.sampled_from(list(VALID)), data=st.data())
def test_fields_of_any_kind_never_raise(topic: Topic, data: st.DataObject) -> None:
    """Each field of a valid message may hold anything."""
    name = data.draw(st.sampled_from(sorted(VALID[topic])))
    value = json.dumps(VALID[topic] | {name: data.draw(strategies.json_values)}).encode()

    _can_be_written_again(topic, decode(topic, value))


@given(topic=st.sampled_from(list(VALID)), data=st.data())
def test_damaged_messages_never_raise(topic: Topic, data: st.DataObject) -> None:
    """A valid message with bytes changed, lost or added is read or rejected, and can be sent on."""
    value = data.draw(strategies.damaged(payload(topic)))

    _can_be_written_again(topic, decode(topic, value))
