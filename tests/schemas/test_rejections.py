"""What is wrong with a message is told by class, place and words."""

import json
from typing import Any

import pytest

from roomstream.broken_messages import BREAKAGES, broken_message
from roomstream.listings import Listing
from schemas.codec import Rejected, decode
from schemas.events import MAX_PAYLOAD_BYTES, ListingEvent
from schemas.topics import Topic
from tests import strategies
from tests.schemas.payloads import LISTING, fault, listing, payload


@pytest.mark.parametrize(
    ("changes", "error", "where"),
    [
        ({"title": 3}, "wrong_type", "$.title"),
        ({"title": None}, "wrong_type", "$.title"),
        ({"occurred_at": 1_764_000_000}, "wrong_type", "$.occurred_at"),
        ({"occurred_at": "2026-11-24T09:00:00"}, "wrong_type", "$.occurred_at"),
        ({"occurred_at": "yesterday"}, "wrong_type", "$.occurred_at"),
        ({"occurred_at": "2026-02-30T09:00:00Z"}, "wrong_type", "$.occurred_at"),
        ({"event_id": ""}, "out_of_range", "$.event_id"),
        ({"event_id": "e" * 201}, "too_long", "$.event_id"),
        ({"description": "d" * 20_001}, "too_long", "$.description"),
        ({"language": "x" * 36}, "too_long", "$.language"),
        ({"source": "x" * 201}, "too_long", "$.source"),
    ],
)
def test_a_wrong_listing_is_told_apart(changes: dict[str, Any], error: str, where: str) -> None:
    """Each fault has its class and the path of the culprit."""
    assert (error, where) == fault(listing(**changes))


@pytest.mark.parametrize(
    ("topic", "changes", "error", "where"),
    [
        (Topic.LABELLED, {"label": "  "}, "out_of_range", "$.label"),
        (Topic.LABELLED, {"label": ""}, "out_of_range", "$.label"),
        (Topic.LABELLED, {"label": "x" * 101}, "too_long", "$.label"),
        (Topic.LABELLED, {"origin": "robot"}, "out_of_range", "$.origin"),
        (Topic.LABELLED, {"propensity": 0}, "out_of_range", "$.propensity"),
        (Topic.LABELLED, {"propensity": 1.01}, "out_of_range", "$.propensity"),
        (Topic.LABELLED, {"propensity": "1"}, "wrong_type", "$.propensity"),
        (Topic.CLASSIFIED, {"scores": {"a": 1.5}}, "out_of_range", "$.scores[...]"),
        (Topic.CLASSIFIED, {"confidence": -0.1}, "out_of_range", "$.confidence"),
        (Topic.CLASSIFIED, {"input": {}}, "missing_field", "$.input.topic"),
        (Topic.REVIEW, {"event": {}}, "missing_field", "$.event.event_id"),
        (Topic.REVIEW, {"event": LISTING | {"title": 1}}, "wrong_type", "$.event.title"),
        (Topic.REVIEW, {"event": LISTING | {"title": "\t"}}, "empty_title", "$.event.title"),
        (Topic.RELEASES, {"share": 2}, "out_of_range", "$.share"),
        (Topic.RELEASES, {"channel": "beta"}, "out_of_range", "$.channel"),
        (Topic.RELEASES, {"manifest_digest": "0" * 63}, "out_of_range", "$.manifest_digest"),
        (Topic.RELEASES, {"manifest_digest": "0" * 64 + "\n"}, "too_long", "$.manifest_digest"),
    ],
)
def test_other_wrong_messages_are_told_apart(
    topic: Topic, changes: dict[str, Any], error: str, where: str
) -> None:
    """The limits of every topic are kept, inside of nested fields too."""
    assert (error, where) == fault(decode(topic, payload(topic, **changes)))


def test_a_number_beyond_all_numbers_is_out_of_range() -> None:
    """An exponent that no float has is a range, not a type."""
    value = payload(Topic.CLASSIFIED).replace(b'"confidence": 1', b'"confidence": 1e999')

    assert fault(decode(Topic.CLASSIFIED, value)) == ("out_of_range", "$.confidence")


@pytest.mark.parametrize("name", sorted(LISTING))
def test_a_missing_field_is_named(name: str) -> None:
    """The path is that of the field that should be there."""
    value = json.dumps({key: item for key, item in LISTING.items() if key != name}).encode()

    assert ("missing_field", f"$.{name}") == fault(decode(Topic.LISTINGS, value))


@pytest.mark.parametrize("trap", ["missing required field `x`", "of length <=", " - at `$.title`"])
def test_the_producers_words_do_not_choose_the_error(trap: str) -> None:
    """A value that looks like an error message is judged like any other, and quoted shortly."""
    found = decode(Topic.LABELLED, payload(Topic.LABELLED, origin=f"{trap}{'x' * 5_000}"))

    assert fault(found) == ("out_of_range", "$.origin")
    assert isinstance(found, Rejected)
    assert len(found.message) < 300


@pytest.mark.parametrize("value", [b"", b" ", b"{", b"NaN", b"\xef\xbb\xbf{}", payload() + b"x"])
def test_what_is_not_json_is_told(value: bytes) -> None:
    """Half a message, a byte order mark and trailing characters are not JSON."""
    assert fault(decode(Topic.LISTINGS, value)) == ("not_json", "payload")


@pytest.mark.parametrize("value", [b"null", b"[]", b"3", b'"x"'])
def test_json_that_is_no_object_is_told(value: bytes) -> None:
    """The culprit is the whole value."""
    assert fault(decode(Topic.LISTINGS, value)) == ("wrong_type", "$")


@pytest.mark.parametrize("deep", [b"[" * 60_000, b"[" * 20_000 + b"]" * 20_000, b'{"a":' * 12_000])
def test_deep_nesting_is_rejected(deep: bytes) -> None:
    """JSON nested thousands deep, in a field that nobody reads, does not exhaust the stack."""
    value = payload()[:-1] + b', "x": ' + deep + b"}"

    assert fault(decode(Topic.LISTINGS, value)) == ("not_json", "payload")


@pytest.mark.parametrize("place", ["title", "unknown"])
@pytest.mark.parametrize("stray", [b"\xe9", b"\xed\xa0\x80", b"\xc3"])
def test_bytes_that_are_not_utf_8_are_told(place: str, stray: bytes) -> None:
    """Latin-1, encoded surrogates and half characters are refused, in ignored fields too."""
    changes: dict[str, Any] = {place: "@"}
    value = payload(**changes).replace(b"@", stray)

    assert fault(decode(Topic.LISTINGS, value)) == ("bad_utf8", "payload")


def test_a_lone_surrogate_is_rejected() -> None:
    """Half of an escaped emoji has no UTF-8, so that nobody could send it on."""
    value = payload(title="@").replace(b"@", rb"Loft \ud83c")

    assert fault(decode(Topic.LISTINGS, value)) == ("not_json", "payload")


@pytest.mark.parametrize("name", [b"listing-event/2", b"", b"\xff", None, b"x" * 10_000])
def test_an_unknown_schema_is_told(name: bytes | None) -> None:
    """A version, a name or a header without value that nobody knows is a rejection, told shortly."""
    found = decode(Topic.LISTINGS, payload(), [("schema", name)])

    assert fault(found) == ("unknown_schema", "header schema")
    assert isinstance(found, Rejected)
    assert "known are listing-event/1" in found.message
    assert len(found.message) < 500


def test_nothing_is_read_from_dead_letters() -> None:
    """Their bytes are whatever came in."""
    assert fault(decode(Topic.DEAD, payload())) == ("unknown_schema", "header schema")


@pytest.mark.parametrize(
    "title",
    [
        "",
        " \t\r\n",
        "\u00a0",
        "\u200b\u200d\ufeff",
        "\u2028\u3000",
        "\u00ad",
        "\x00",
        "\u3164\u2800",
        "\ufe0f",
        "\u0301",
        "\U000e0100",
    ],
)
def test_a_title_without_a_visible_character_is_rejected(title: str) -> None:
    """No-break and zero-width spaces, controls, fillers and marks on nothing are not a title."""
    assert fault(listing(title=title)) == ("empty_title", "$.title")


@pytest.mark.parametrize("title", ["\u00a0.\u200b", "🌿", "é", "\U0001fadf", "\ue000", "房"])
def test_one_visible_character_makes_a_title(title: str) -> None:
    """Emojis count, newer ones than this Python's tables and icons for private use too."""
    assert isinstance(listing(title=title), ListingEvent)


@pytest.mark.parametrize("character", ["x", "ñ", "🌿"])
def test_titles_are_limited_by_characters(character: str) -> None:
    """2,000 characters are accepted whatever their bytes, one more is refused."""
    assert isinstance(listing(title=character * 2_000), ListingEvent)
    assert fault(listing(title=character * 2_001)) == ("too_long", "$.title")


def test_payloads_are_limited_by_bytes() -> None:
    """64 KiB are accepted exactly, one byte more is refused before it is looked at."""
    whole = payload().ljust(MAX_PAYLOAD_BYTES)

    assert listing() == decode(Topic.LISTINGS, whole)
    assert fault(decode(Topic.LISTINGS, whole + b" ")) == ("too_large", "payload")
    assert fault(decode(Topic.LISTINGS, b"\xff" * len(whole) + b"{")) == ("too_large", "payload")


@pytest.mark.parametrize("error", sorted(BREAKAGES))
def test_every_broken_message_of_the_demo_gets_its_error(error: str) -> None:
    """The demo foresees which dead letter each of its broken messages becomes."""
    message = broken_message(error, Listing("l-7", "Ático"), "e-1", strategies.NOON)
    found = decode(Topic.LISTINGS, message.value or b"", message.headers)

    assert error == fault(found)[0]


def test_every_class_of_error_has_a_broken_message() -> None:
    """The demo shows all of them."""
    documented = (Rejected.__doc__ or "").partition("error: One of")[2].partition("where:")[0]

    assert set(BREAKAGES) == set(documented.split("`")[1::2])
