"""The shapes that both services move: a message as it came in, a message to send."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from schemas.codec import SCHEMA_HEADER

HeaderTuple = tuple[tuple[str, bytes], ...]

DEAD_PREFIX = "dead-"
"""What the headers that say why a message died begin with."""


class Record(NamedTuple):
    """
    A message as the broker holds it.

    Attributes:
        topic: The topic's name on the broker, prefix included.
        partition: Its partition.
        offset: Its offset in the partition.
        key: The bytes of the key, if any.
        value: The bytes of the value; None is a tombstone.
        headers: Name and bytes, in order; a name may repeat. Kafka lets a header have no value: it
            reads as empty, since kafka-python sends no null.
        timestamp_ms: Milliseconds since 1970, as the broker or producer set it.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: HeaderTuple
    timestamp_ms: int


class Outbound(NamedTuple):
    """A message to send. `topic` is the name on the broker, prefix included."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: HeaderTuple

    @property
    def most_bytes(self) -> int:
        """It takes no more on the wire."""
        size = len(self.key or b"") + len(self.value or b"") + 100
        for name, value in self.headers:
            size += 4 * len(name) + len(value) + 20
        return size


def forwarded(headers: HeaderTuple) -> HeaderTuple:
    """
    The headers of an input that travel to its results, such as traceparent.

    Not its schema, and not what a replay of its dead letter has noted.
    """
    return tuple(
        header
        for header in headers
        if header[0] != SCHEMA_HEADER and not header[0].startswith(DEAD_PREFIX)
    )


def valued(headers: Collection[tuple[str, bytes | None]]) -> HeaderTuple:
    """Headers as a client brought them, with empty bytes for those that have no value."""
    return tuple([(name, value or b"") for name, value in headers]) if headers else ()


def polled(batches: Mapping[Any, Sequence[Any]]) -> list[Record]:
    """What a poll of kafka-python brought, in order within each partition."""
    return [
        Record(
            record.topic,
            record.partition,
            record.offset,
            record.key,
            record.value,
            valued(record.headers),
            record.timestamp,
        )
        for batch in batches.values()
        for record in batch
    ]
