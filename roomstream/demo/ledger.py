"""
The books of a demo: what was sent, what came out, and whether the two agree.

A message is known by its place in `listings` (partition and offset), which every result names, and
by its event id. Results may arrive before the producer knows where a message went, so both sides
are only noted while the demo runs and compared by `account`.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from roomstream.listings import Message

Position = tuple[int, int]  # partition and offset in `listings`


@dataclass(frozen=True, slots=True)
class Answer:
    """A classification: which event, which label, by which release."""

    event_id: str
    label: str
    confidence: float
    release: str


@dataclass(frozen=True)
class Account:
    """
    What became of the messages.

    Attributes:
        classified: Messages with at least one classification.
        dead: Messages with at least one dead letter.
        skipped: Tombstones that the workers have passed over: their offset is committed and nothing
            was written for them.
        missing: The places of messages that became nothing.
        repeated: Results beyond the first of a message.
        unexpected: What else is wrong, in words: a result for a message that was never sent, with
            another event id, or of another kind than the message deserves.
    """

    classified: int = 0
    dead: int = 0
    skipped: int = 0
    missing: tuple[Position, ...] = ()
    repeated: int = 0
    unexpected: tuple[str, ...] = ()


@dataclass
class Ledger:
    """Notes what is sent and what comes out; safe to use from several threads."""

    sent: dict[Position, Message] = field(default_factory=dict)
    answers: dict[Position, list[Answer]] = field(default_factory=dict)
    dead: dict[Position, list[str]] = field(default_factory=dict)
    order: list[tuple[int, Position]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def placed(self, number: int, position: Position, message: Message) -> None:
        """Note that the broker has the message with this number, and where."""
        with self._lock:
            self.sent[position] = message
            self.order.append((number, position))

    def answered(self, position: Position, answer: Answer) -> None:
        """Note a classification."""
        with self._lock:
            self.answers.setdefault(position, []).append(answer)

    def died(self, position: Position, error: str) -> None:
        """Note a dead letter."""
        with self._lock:
            self.dead.setdefault(position, []).append(error)

    @property
    def outcomes(self) -> int:
        """How many messages have a classification or a dead letter."""
        with self._lock:
            return len(self.answers) + len(self.dead)

    def account(self, committed: Mapping[int, int]) -> Account:
        """Compare both sides; `committed` is the workers' next offset by partition."""
        with self._lock:
            return account(self.sent, self.answers, self.dead, committed)

    def judged(self) -> list[bool]:
        """Whether the first answer was right, for each answered listing in the order of sending."""
        with self._lock:
            return [
                self.answers[position][0].label == message.listing.label
                for _, position in sorted(self.order)
                if position in self.answers
                and (message := self.sent[position]).listing is not None
                and message.listing.label is not None
            ]


def account(
    sent: Mapping[Position, Message],
    answers: Mapping[Position, Sequence[Answer]],
    dead: Mapping[Position, Sequence[str]],
    committed: Mapping[int, int],
) -> Account:
    """Compare what went in with what came out, message by message."""
    skipped = {
        position
        for position, message in sent.items()
        if message.fate == "skipped" and position[1] < committed.get(position[0], 0)
    }
    handled = answers.keys() | dead.keys() | skipped
    results = [*answers.values(), *dead.values()]
    return Account(
        classified=len(answers.keys() & sent.keys()),
        dead=len(dead.keys() & sent.keys()),
        skipped=len(skipped - answers.keys() - dead.keys()),
        missing=tuple(sorted(sent.keys() - handled)),
        repeated=sum(map(len, results)) - len(answers.keys() | dead.keys()),
        unexpected=tuple(
            fault
            for position in sorted(answers.keys() | dead.keys())
            for fault in _faults(
                position, sent.get(position), answers.get(position, ()), dead.get(position, ())
            )
        ),
    )


def _faults(
    position: Position, message: Message | None, answers: Sequence[Answer], dead: Sequence[str]
) -> Iterable[str]:
    place = f"listings {position[0]}:{position[1]}"
    if message is None:
        yield f"{place} has a result, but the demo sent nothing there"
        return
    if answers and message.fate != "classified":
        yield f"{place} was classified, but should be {message.fate}"
    if dead and message.fate != "dead":
        yield f"{place} is a dead letter ({dead[0]}), but should be {message.fate}"
    for answer in answers:
        if message.event_id != answer.event_id:
            yield f"{place} holds event {message.event_id}, its answer names {answer.event_id}"
    for error in dead:
        if message.fate == "dead" and message.error != error:
            yield f"{place} is dead for {error}, but should be for {message.error}"
