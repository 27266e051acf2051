"""Messages that no consumer can read: one way of breaking each, by the error that it must give."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from roomstream.listings import Listing, Message, listing_message
from schemas.codec import SCHEMA_HEADER
from schemas.events import MAX_PAYLOAD_BYTES, MAX_TITLE_CHARACTERS

Fields = dict[str, Any]


def broken_message(error: str, listing: Listing, event_id: str, at: datetime) -> Message:
    """Make a message about a listing that must become a dead letter with this error."""
    whole = listing_message(listing, event_id, at)
    fields = json.loads(whole.value or b"{}")
    headers = whole.headers
    if error == "unknown_schema":
        headers = ((SCHEMA_HEADER, b"listing-event/99"),)
    return Message(
        key=whole.key, value=BREAKAGES[error](fields), headers=headers, fate="dead", error=error
    )


def _written(fields: Fields) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode()


def _without_time(fields: Fields) -> bytes:
    return _written({name: value for name, value in fields.items() if name != "occurred_at"})


def _cut_short(fields: Fields) -> bytes:
    return _written(fields)[:-7]


def _with_stray_bytes(fields: Fields) -> bytes:
    return _written(fields | {"title": "@"}).replace(b'"@"', b'"Habitaci\xf3n c\xe9ntrica"')


BREAKAGES: dict[str, Callable[[Fields], bytes]] = {
    "bad_utf8": _with_stray_bytes,
    "empty_title": lambda fields: _written(fields | {"title": " \u200b\t"}),
    "missing_field": _without_time,
    "not_json": _cut_short,
    "out_of_range": lambda fields: _written(fields | {"event_id": ""}),
    "too_large": lambda fields: _written(fields | {"description": "ñ" * (MAX_PAYLOAD_BYTES // 2)}),
    "too_long": lambda fields: _written(fields | {"title": "¡Piso! " * MAX_TITLE_CHARACTERS}),
    "unknown_schema": _written,
    "wrong_type": lambda fields: _written(fields | {"title": ["Loft", 42]}),
}
