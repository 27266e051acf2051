"""
Bytes to events and back.

The `schema` header names the type and version of a message, such as `listing-event/1`. A message
without it is the first event of its topic at the current version, so that a plain producer needs no
header.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import msgspec

from schemas.events import Event, ReviewRequest
from schemas.topics import TOPICS, Topic

SCHEMA_HEADER = "schema"
VERSION = 1

Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True)
class Rejected:
    """
    Why bytes are not an event.

    Attributes:
        error: One of `too_large`, `bad_utf8`, `not_json`, `unknown_schema`, `missing_field`,
            `wrong_type`, `too_long`, `out_of_range`, `empty_title`.
        where: The JSON path of the culprit, such as `$.title`; `payload` or `header schema` where
            there is no path.
        message: What is wrong, for the people who produced it.
    """

    error: str
    where: str
    message: str


@cache
def schema_name(event_type: type[Event]) -> str:
    """Name a type with its version, as the `schema` header does: `listing-event/1`."""
    words = re.sub(r"(?<!^)(?=[A-Z])", "-", event_type.__name__).lower()
    return f"{words}/{VERSION}"


_ENCODER = msgspec.json.Encoder()
_DECODERS: dict[Topic, dict[str, msgspec.json.Decoder[Any]]] = {
    spec.topic: {schema_name(event): msgspec.json.Decoder(event) for event in spec.events}
    for spec in TOPICS
}
_MAX_BYTES = {spec.topic: spec.max_payload_bytes for spec in TOPICS}


def encode(event: Event) -> tuple[bytes, tuple[str, bytes]]:
    """
    Write an event.

    Returns:
        The value, and the header that names its schema. Times are written in UTC.
    """
    value = _ENCODER.encode(_in_utc(event))
    return value, (SCHEMA_HEADER, schema_name(type(event)).encode())


def decode(topic: Topic, value: bytes, headers: Headers = ()) -> Event | Rejected:
    """
    Read a message of a topic. Never raises, whatever the bytes.

    Args:
        topic: Where it was found; `dead` holds no events and rejects everything.
        value: JSON, at most as long as the table of topics says.
        headers: Those of the message; only `schema` counts, the last one if there are several. Kafka
            lets a header have no value: that names no schema.
    """
    limit = _MAX_BYTES[topic]
    if len(value) > limit:
        return Rejected(
            "too_large", "payload", f"{len(value)} bytes; at most {limit} are accepted."
        )
    decoder = _decoder(_DECODERS[topic], headers)
    if isinstance(decoder, Rejected):
        return decoder
    event = _parse(decoder, value)
    if isinstance(event, Rejected):
        return event
    titled, where = (event.event, "$.event") if isinstance(event, ReviewRequest) else (event, "$")
    title = getattr(titled, "title", None)
    if title is not None and _is_blank(title):
        return Rejected("empty_title", f"{where}.title", "The title has no visible character.")
    return event


def listing_text(title: str, description: str | None) -> str:
    """The text that is classified and learned: the title, then the description if there is one."""
    return f"{title}\n{description}" if description else title


def _decoder(
    known: dict[str, msgspec.json.Decoder[Any]], headers: Headers
) -> msgspec.json.Decoder[Any] | Rejected:
    named = [value for key, value in headers if key == SCHEMA_HEADER]
    name = (named[-1] or b"").decode("utf-8", "replace") if named else next(iter(known), "")
    decoder = known.get(name)
    if decoder is None:
        expected = ", ".join(known) or "none: nothing is read from this topic"
        return Rejected(
            "unknown_schema",
            f"header {SCHEMA_HEADER}",
            f"Schema {name[:100]!r} is not known here; known are {expected}.",
        )
    return decoder


def _parse(decoder: msgspec.json.Decoder[Any], value: bytes) -> Event | Rejected:
    try:
        text = value.decode()  # msgspec would not look into the fields that it ignores
        event: Event = decoder.decode(text)
    except UnicodeDecodeError as error:
        return Rejected("bad_utf8", "payload", f"Not UTF-8: {error.reason} at byte {error.start}.")
    except msgspec.ValidationError as error:
        return _invalid(str(error))
    except msgspec.DecodeError as error:
        return Rejected("not_json", "payload", f"Not JSON: {error}.")
    except RecursionError:
        return Rejected("not_json", "payload", "The JSON is nested too deeply.")
    return event


_CLASSES = (
    ("Invalid enum value", "out_of_range"),  # first: it quotes what the producer wrote
    ("missing required field", "missing_field"),
    ("of length <=", "too_long"),
    ("Expected `str` matching regex", "out_of_range"),
    ("of length >=", "out_of_range"),
    ("Number out of range", "out_of_range"),
    (" <= ", "out_of_range"),
    (" >= ", "out_of_range"),
    (" > ", "out_of_range"),
)
_MAX_MESSAGE_CHARACTERS = 200


def _invalid(reason: str) -> Rejected:
    """Sort msgspec's message, such as "Expected `str`, got `int` - at `$.title`"."""
    message, _, path = reason.rpartition(" - at `")
    message, where = (message, path.rstrip("`")) if message else (reason, "$")
    error = next((code for mark, code in _CLASSES if mark in message), "wrong_type")
    if error == "missing_field":
        where = f"{where}.{message.split('`')[1]}"
    return Rejected(error, where, f"{message[:_MAX_MESSAGE_CHARACTERS]}.")


_UNSEEN_CATEGORIES = ("Zs", "Zl", "Zp", "Cc", "Cf", "Mn")
_UNSEEN_LETTERS = "\u115f\u1160\u2800\u3164\uffa0"  # Hangul fillers and the empty Braille cell


def _is_blank(title: str) -> bool:
    """Only white space, controls, invisible formatting, and marks with nothing to stand on."""
    return all(
        unicodedata.category(character) in _UNSEEN_CATEGORIES or character in _UNSEEN_LETTERS
        for character in title
    )


def _in_utc(event: Event) -> Event:
    changes: dict[str, Any] = {}
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if isinstance(value, datetime) and value.tzinfo is not UTC:
            changes[name] = _utc(value)
        elif isinstance(value, Event):
            changes[name] = _in_utc(value)
    return msgspec.structs.replace(event, **changes) if changes else event


def _utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError:  # the first or last day of the calendar
        return time
