"""
What could not be handled: the original bytes, untouched, with headers that say what is wrong.

Whoever mends the cause can send the letter back to where it came from, since nothing of the original
message is changed: key, value and headers are as they were, ours begin with `dead-`. A letter that was
sent back is followed, in its partition, by a marker: no value, and a header with the letter's offset.
"""

import re
from dataclasses import dataclass
from typing import Literal

from runtime.kafka import MAX_REQUEST_BYTES
from runtime.records import DEAD_PREFIX, HeaderTuple, Outbound, Record
from schemas.codec import SCHEMA_HEADER
from schemas.events import MAX_PAYLOAD_BYTES

_REPLAYED = DEAD_PREFIX + "replayed"

Disposition = Literal["poison", "systemic"]
"""`poison` will never work as it is; `systemic` may work once the world is mended."""

# A newer roomstream knows the schema, another release answers the text, another policy admits the label.
_MENDABLE = frozenset({"unknown_schema", "inference", "unknown_label", "too_many_classes"})


def disposition(error: str) -> Disposition:
    """Whether a message that failed with this class of error may ever work."""
    return "systemic" if error in _MENDABLE else "poison"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """
    A dead letter, read back.

    Attributes:
        stage: Where it failed, such as `decode` or `infer`.
        error: The class of the error, such as `missing_field`.
        message: What is wrong, in words.
        topic: The topic that it came from.
        partition: The partition that it came from.
        offset: The offset that it had there.
        release: The release that was live, if any.
        attempts: How often it has failed.
        disposition: Whether it may ever work.
        original: The message as it came in.
    """

    stage: str
    error: str
    message: str
    topic: str
    partition: int
    offset: int
    release: str | None
    attempts: int
    disposition: str
    original: Record


def dead_letter(
    topic: str,
    record: Record,
    *,
    stage: str,
    error: str,
    message: str,
    release: str | None = None,
) -> Outbound:
    """
    Turn a record that failed into its dead letter.

    Args:
        topic: The dead-letter topic's name on the broker.
        record: The original. One that was replayed carries `dead-attempts`, which is counted up.
        stage: Where it failed.
        error: The class of the error.
        message: What is wrong, for whoever reads the letter.
        release: The release that was live, if any.
    """
    facts = {
        "stage": stage,
        "error": error,
        "message": message,
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "release": release or "",
        "attempts": str(_attempts(record.headers) + 1),
        "disposition": disposition(error),
    }
    ours = tuple((DEAD_PREFIX + name, value.encode()) for name, value in facts.items())
    return Outbound(topic, record.key, record.value, (*_originals(record.headers), *ours))


def read_dead_letter(record: Record) -> DeadLetter:
    """Read a dead letter; headers that it lacks read as empty, 0 or -1."""
    facts = {
        name.removeprefix(DEAD_PREFIX): value.decode("utf-8", "replace")
        for name, value in record.headers
        if name.startswith(DEAD_PREFIX)
    }
    topic, partition, offset = (
        facts.get("topic", ""),
        _number(facts.get("partition"), -1),
        _number(facts.get("offset"), -1),
    )
    return DeadLetter(
        stage=facts.get("stage", ""),
        error=facts.get("error", ""),
        message=facts.get("message", ""),
        topic=topic,
        partition=partition,
        offset=offset,
        release=facts.get("release") or None,
        attempts=_number(facts.get("attempts"), 0),
        disposition=facts.get("disposition", ""),
        original=Record(
            topic,
            partition,
            offset,
            record.key,
            record.value,
            _originals(record.headers),
            record.timestamp_ms,
        ),
    )


def sent_back(letter: DeadLetter) -> Outbound:
    """The original, for the topic that it came from; it says how often it has failed."""
    original = letter.original
    attempts = (DEAD_PREFIX + "attempts", str(letter.attempts).encode())
    return Outbound(letter.topic, original.key, original.value, (*original.headers, attempts))


def replay_marker(record: Record) -> Outbound:
    """Say that a dead letter was sent back; it belongs into the letter's own partition."""
    headers = ((_REPLAYED, str(record.offset).encode()),)
    return Outbound(record.topic, record.key or b"", None, headers)


def replayed_offset(record: Record) -> int | None:
    """Of a marker, the offset of the letter that was sent back; None for a letter."""
    if record.value is not None:
        return None
    named = [value for name, value in record.headers if name == _REPLAYED]
    return _number(named[-1].decode("utf-8", "replace"), -1) if named else None


def fitting(message: Outbound, below_bytes: int = MAX_REQUEST_BYTES) -> Outbound:
    """A message as it is if it is smaller, else cut short: a compressed one may unpack to anything."""
    return message if message.most_bytes < below_bytes else shortened(message)


def shortened(message: Outbound) -> Outbound:
    """
    Make a message fit where the brokers refuse it as too large.

    The headers that came with the input go. Key and bytes of a dead letter are cut to just above what
    is accepted, so that sent back it is refused again; whoever needs the rest finds it at the position
    in its headers.
    """
    headers = tuple(
        header
        for header in message.headers
        if header[0].startswith(DEAD_PREFIX) or header[0] == SCHEMA_HEADER
    )
    if not any(name.startswith(DEAD_PREFIX) for name, _ in headers):
        return Outbound(message.topic, message.key, message.value, headers)
    return Outbound(message.topic, _start(message.key), _start(message.value), headers)


def _start(data: bytes | None) -> bytes | None:
    return data if data is None else data[: MAX_PAYLOAD_BYTES + 1]


def _originals(headers: HeaderTuple) -> HeaderTuple:
    return tuple(header for header in headers if not header[0].startswith(DEAD_PREFIX))


def _attempts(headers: HeaderTuple) -> int:
    named = [value for name, value in headers if name == DEAD_PREFIX + "attempts"]
    return _number(named[-1].decode("utf-8", "replace"), 0) if named else 0


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text and re.fullmatch("[0-9]{1,19}", text) else otherwise
