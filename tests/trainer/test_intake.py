"""What each message of `labelled` and `deletions` means."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.dead_letters import read_dead_letter
from runtime.records import Record
from schemas.codec import encode
from schemas.events import Deletion, Event, Feedback, LabelledEvent
from trainer.intake import Dead, Forget, Label, Opinion, Skip, read

PREFIX = "staging."
AT = datetime(2026, 11, 24, 9, tzinfo=UTC)


def labelled(description: str | None = None) -> LabelledEvent:
    return LabelledEvent(
        event_id="e-1",
        listing_id="l-1",
        title="Habitación doble 🌿",
        description=description,
        label="Private room",
        labelled_at=AT,
        origin="import",
        propensity=0.25,
    )


def feedback(accepted: bool) -> Feedback:
    return Feedback(
        event_id="e-2",
        listing_id="l-1",
        title="Piso",
        label="Shared room",
        accepted=accepted,
        labelled_at=AT,
        propensity=0.05,
    )


def record(event: Event, topic: str = "labelled") -> Record:
    value, header = encode(event)
    return Record(PREFIX + topic, 2, 7, b"l-1", value, (header, ("traceparent", b"00-1")), 1_000)


def test_a_labelled_event_is_a_label() -> None:
    """With the text that a worker classifies: title, then description."""
    found = read(record(labelled("Luminosa")), PREFIX)

    assert isinstance(found, Label)
    assert (found.event_id, found.listing_id, found.label) == ("e-1", "l-1", "Private room")
    assert found.text == "Habitación doble 🌿\nLuminosa"
    assert (found.origin, found.propensity, found.labelled_at) == ("import", 0.25, AT)


@pytest.mark.parametrize(
    ("source", "language", "domain"),
    [("madrid", "es", "madrid"), (None, "es", "es"), ("", "es", "es"), (None, None, "")],
)
def test_the_domain_is_the_source_or_else_the_language(
    source: str | None, language: str | None, domain: str
) -> None:
    """Labels are told apart by where they come from; unknown is a domain too."""
    said = msgspec.structs.replace(labelled(), source=source, language=language)
    found = read(record(said), PREFIX)

    assert isinstance(found, Label)
    assert domain == found.domain


@pytest.mark.parametrize("accepted", [True, False])
def test_feedback_is_an_opinion(accepted: bool) -> None:
    """It is no label, even where the label that was shown is right."""
    event = record(feedback(accepted))
    expected = Opinion(event, "e-2", "l-1", "Piso", "Shared room", accepted, AT, 0.05)

    assert expected == read(event, PREFIX)


def test_a_deletion_is_to_forget() -> None:
    """The listing is named, and since when its labels count no more."""
    event = record(Deletion(event_id="e-3", listing_id="l-9", deleted_at=AT), "deletions")

    assert Forget(event, "l-9", AT) == read(event, PREFIX)


@pytest.mark.parametrize("topic", ["labelled", "deletions"])
def test_a_message_without_a_value_is_passed_over(topic: str) -> None:
    """A tombstone says nothing to the trainer."""
    tombstone = Record(PREFIX + topic, 0, 0, b"l-1", None, (), 0)

    assert Skip(tombstone) == read(tombstone, PREFIX)


@given(st.binary(max_size=300), st.sampled_from(["labelled", "deletions"]), st.binary(max_size=20))
def test_any_bytes_are_read_without_an_error(value: bytes, topic: str, schema: bytes) -> None:
    """What is no event becomes a dead letter that holds the very bytes and says where from."""
    message = Record(PREFIX + topic, 3, 11, b"\xffkey", value, (("schema", schema),), 5)
    found = read(message, PREFIX)

    assert isinstance(found, Dead)
    assert (found.letter.topic, found.stage) == ("staging.dead", "decode")
    assert (found.letter.key, found.letter.value) == (message.key, value)
    back = read_dead_letter(Record("dead", 0, 0, None, value, found.letter.headers, 0))
    assert (back.topic, back.partition, back.offset) == (message.topic, 3, 11)
    assert back.original.headers == message.headers


def test_a_dead_letter_names_the_culprit() -> None:
    """The stage, the class of the error and the place in the message."""
    found = read(Record(PREFIX + "labelled", 0, 0, None, b'{"event_id": "e"}', (), 0), PREFIX)
    assert isinstance(found, Dead)
    headers = dict(found.letter.headers)

    assert headers["dead-error"] == b"missing_field"
    assert headers["dead-message"].startswith(b"$.listing_id")
