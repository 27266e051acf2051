"""Which dead letters are meant, and what a replay does with each. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from runtime.dead_letters import DeadLetter, Disposition, replayed_offset
from runtime.records import Record
from schemas.events import MAX_PAYLOAD_BYTES
from schemas.topics import Topic

INPUTS = (Topic.LISTINGS, Topic.LABELLED, Topic.DELETIONS)
"""The topics whose messages may die, and that letters may go back to."""

Fate = Literal["sent", "already_replayed", "given_up", "not_replayable", "left", "not_chosen"]


@dataclass(frozen=True)
class Choice:
    """
    Which letters are meant; what is None does not matter.

    Attributes:
        stage: Where they failed.
        error: The class of their error.
        release: The release that was live; empty for none.
        disposition: Whether they may ever work.
        topic: The name on the broker of the topic that they came from.
        since: They died at this time or later.
    """

    stage: str | None = None
    error: str | None = None
    release: str | None = None
    disposition: Disposition | None = None
    topic: str | None = None
    since: datetime | None = None

    def takes(self, letter: DeadLetter) -> bool:
        """Whether a letter is one of them."""
        wanted = (
            (self.stage, letter.stage),
            (self.error, letter.error),
            (self.release, letter.release or ""),
            (self.disposition, letter.disposition),
            (self.topic, letter.topic),
        )
        since_ms = self.since.timestamp() * 1000 if self.since else float("-inf")
        return letter.original.timestamp_ms >= since_ms and all(
            wish is None or wish == found for wish, found in wanted
        )


class Replayed:
    """Which letters were sent back, by the markers on their topic: one number a letter."""

    def __init__(self) -> None:
        self._offsets: dict[int, set[int]] = {}

    def note(self, record: Record) -> None:
        """Note a record of the dead-letter topic if it is a marker."""
        offset = replayed_offset(record)
        if offset is not None:
            self._offsets.setdefault(record.partition, set()).add(offset)

    def has(self, record: Record) -> bool:
        """Whether a letter was sent back."""
        return record.offset in self._offsets.get(record.partition, ())


@dataclass
class Sorter:
    """
    Says of each letter what is to be done with it.

    Attributes:
        choice: Which letters are meant.
        replayed: Those that were sent back before.
        origins: The partitions of each topic that letters may go back to, by its name.
        max_attempts: Letters that have failed so often are given up.
        limit: The most letters to send; None: all.
    """

    choice: Choice
    replayed: Replayed
    origins: Mapping[str, Collection[int]]
    max_attempts: int
    limit: int | None = None
    _sent: int = field(default=0, init=False)

    def fate(self, record: Record, letter: DeadLetter) -> Fate:
        """What is to be done with a letter; each one is asked for once."""
        if not self.choice.takes(letter):
            return "not_chosen"
        if self.replayed.has(record):
            return "already_replayed"
        if self.fault(letter):
            return "not_replayable"
        if letter.attempts >= self.max_attempts:
            return "given_up"
        if self._sent == self.limit:
            return "left"
        self._sent += 1
        return "sent"

    def fault(self, letter: DeadLetter) -> str:
        """Why a letter cannot go back to where it came from; empty if it can."""
        place = f"{letter.topic}[{letter.partition}]@{letter.offset}"
        if letter.topic not in self.origins:
            return f"it names {letter.topic!r} as its origin, which is no input of this deployment"
        if letter.partition not in self.origins[letter.topic]:
            return f"it came from {place}, a partition that is not there"
        if letter.original.value is None:
            return f"it holds no message, though it says it came from {place}"
        if max(len(letter.original.value), len(letter.original.key or b"")) > MAX_PAYLOAD_BYTES:
            return (
                f"it is over the limit of {MAX_PAYLOAD_BYTES:,} bytes and may be cut short; the "
                f"original was at {place}"
            )
        return ""
