"""
The proof that every listing has exactly one result, offset by offset.

A result names the position of its input, so inputs and results are compared without keeping either: one
byte of flags for each offset of `listings` is all that stays in memory.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import msgspec
from kafka.errors import KafkaError

from roomstream.reading import TopicReader, committed_offsets
from runtime.dead_letters import read_dead_letter, replayed_offset
from runtime.records import Record
from runtime.settings import KafkaSettings
from schemas.errors import TryAgain
from schemas.events import InputPosition
from schemas.topics import Topic

_THERE, _CHOSEN, _TOMBSTONE, _ANSWERED, _DEAD, _REPEATED = 1, 2, 4, 8, 16, 32
_RESULT = _ANSWERED | _DEAD
_SHOWN = 5

_NEW_INPUTS_SECONDS = 2

Counted = Callable[[Iterable[Record]], Iterable[Record]]
Fault = Literal["missing", "repeated", "unknown"]


class _Result(msgspec.Struct):
    """Of a classification, what the audit needs."""

    input: InputPosition


_DECODER = msgspec.json.Decoder(_Result)


@dataclass
class PartitionAudit:
    """
    What became of the messages of a partition of `listings`.

    Attributes:
        partition: The partition; -1 stands for results that name no input of this deployment.
        first: Its first offset that is still there.
        answered: Messages with exactly one answer.
        dead: Messages with exactly one dead letter.
        skipped: Tombstones that were passed over.
        waiting: Messages that the workers have not committed yet.
        missing: Messages that were committed and have no result.
        repeated: Messages with more than one result.
        unknown: Results for offsets that hold no message, or a tombstone.
        examples: The first offsets of each fault.
    """

    partition: int
    first: int = 0
    answered: int = 0
    dead: int = 0
    skipped: int = 0
    waiting: int = 0
    missing: int = 0
    repeated: int = 0
    unknown: int = 0
    examples: dict[Fault, list[int]] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether nothing is missing, repeated or unknown."""
        return not (self.missing or self.repeated or self.unknown)


class Audit:
    """
    Compares inputs with results; both may come in any order.

    Args:
        topic: The name of `listings` on the broker.
        start: Inputs before this time are not judged.
        end: Inputs from this time on are not judged.
    """

    def __init__(
        self, topic: str, start: datetime | None = None, end: datetime | None = None
    ) -> None:
        self._topic = topic
        self._start_ms = start.timestamp() * 1000 if start else float("-inf")
        self._end_ms = end.timestamp() * 1000 if end else float("inf")
        self._first: dict[int, int] = {}
        self._flags: dict[int, bytearray] = {}
        self._strangers: dict[int, list[tuple[int, int]]] = {}  # results whose input is not known

    def input(self, record: Record, judged: bool = True) -> None:
        """Note a message of `listings`; offsets of a partition come in order."""
        flags = _THERE
        if judged and self._start_ms <= record.timestamp_ms < self._end_ms:
            flags |= _CHOSEN
        if record.value is None:
            flags |= _TOMBSTONE
        self._mark(record.partition, record.offset, flags)

    def answer(self, record: Record) -> None:
        """Note a message of `classified`; one that names no input is a stranger."""
        try:
            position = _DECODER.decode(record.value or b"").input
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self._strangers.setdefault(-1, []).append((record.offset, _ANSWERED))
            return
        self._result(position.topic, position.partition, position.offset, _ANSWERED)

    def letter(self, record: Record) -> None:
        """Note a message of `dead`; markers and letters of other topics are passed over."""
        if replayed_offset(record) is not None:
            return
        letter = read_dead_letter(record)
        if letter.topic == self._topic:
            self._result(letter.topic, letter.partition, letter.offset, _DEAD)

    def begins(self, positions: Mapping[int, int]) -> None:
        """Say where partitions without any message begin; call it when all inputs were noted."""
        for partition, offset in positions.items():
            self._first.setdefault(partition, offset)
            self._flags.setdefault(partition, bytearray())

    @property
    def unresolved(self) -> bool:
        """Whether there are results whose inputs were not noted, perhaps because they are new."""
        self._resolve()
        return any(partition >= 0 for partition in self._strangers)

    def partitions(self, committed: Mapping[int, int]) -> list[PartitionAudit]:
        """
        Judge what was noted.

        Args:
            committed: The workers' next offset by partition.
        """
        self._resolve()
        audits = {name: self._judged(name, committed) for name in sorted(self._flags)}
        for partition, results in sorted(self._strangers.items()):
            audit = audits.setdefault(partition, PartitionAudit(partition))
            for offset, _ in results:
                _fault(audit, "unknown", offset)
        return list(audits.values())

    def _result(self, topic: str, partition: int, offset: int, kind: int) -> None:
        if topic != self._topic:
            self._strangers.setdefault(-1, []).append((offset, kind))
        elif not self._noted(partition, offset, kind):
            self._strangers.setdefault(partition, []).append((offset, kind))

    def _noted(self, partition: int, offset: int, kind: int) -> bool:
        """Note a result; False if its input is not known."""
        first, flags = self._first.get(partition, 0), self._flags.get(partition, b"")
        if offset < first:
            return True  # its input has been deleted by retention
        if offset >= first + len(flags):
            return False
        self._mark(partition, offset, _REPEATED if flags[offset - first] & _RESULT else kind)
        return True

    def _resolve(self) -> None:
        for partition, results in list(self._strangers.items()):
            left = [each for each in results if partition < 0 or not self._noted(partition, *each)]
            self._strangers[partition] = left
            if not left:
                del self._strangers[partition]

    def _mark(self, partition: int, offset: int, flags: int) -> None:
        first = self._first.setdefault(partition, offset)
        known = self._flags.setdefault(partition, bytearray())
        if offset - first >= len(known):
            known.extend(bytes(offset - first + 1 - len(known)))
        known[offset - first] |= flags

    def _judged(self, partition: int, committed: Mapping[int, int]) -> PartitionAudit:
        first, following = self._first[partition], committed.get(partition, 0)
        audit = PartitionAudit(partition, first)
        for offset, flags in enumerate(self._flags[partition], first):
            if flags & _CHOSEN:
                _judge(audit, offset, flags, offset < following)
            elif flags & _RESULT and not flags & _THERE:
                _fault(audit, "unknown", offset)
        return audit


def _judge(audit: PartitionAudit, offset: int, flags: int, committed: bool) -> None:
    if flags & _TOMBSTONE and flags & _RESULT:
        _fault(audit, "unknown", offset)
    elif flags & _REPEATED:
        _fault(audit, "repeated", offset)
    elif flags & _ANSWERED:
        audit.answered += 1
    elif flags & _DEAD:
        audit.dead += 1
    elif not committed:
        audit.waiting += 1
    elif flags & _TOMBSTONE:
        audit.skipped += 1
    else:
        _fault(audit, "missing", offset)


def _fault(audit: PartitionAudit, fault: Fault, offset: int) -> None:
    setattr(audit, fault, getattr(audit, fault) + 1)
    examples = audit.examples.setdefault(fault, [])
    if len(examples) < _SHOWN:
        examples.append(offset)


def run_audit(
    kafka: KafkaSettings,
    prefix: str,
    group: str,
    start: datetime | None = None,
    end: datetime | None = None,
    counted: Counted = iter,
) -> list[PartitionAudit]:
    """
    Audit a deployment as it is now; it may run on.

    What the workers had committed is asked first: its results were written before that, so that they
    are all found. Inputs that come while results are read are known, but not judged.

    Args:
        kafka: How to reach Kafka.
        prefix: What the names of topics begin with.
        group: The workers' consumer group on the broker.
        start: Inputs before this time are not judged.
        end: Inputs from this time on are not judged.
        counted: Sees every record go by, to show progress.

    Raises:
        TryAgain: The broker cannot be read.
    """
    listings, dead = Topic.LISTINGS.named(prefix), Topic.DEAD.named(prefix)
    audit = Audit(listings, start, end)
    committed = _committed(kafka, group, listings)
    with (
        TopicReader(kafka, prefix, Topic.LISTINGS) as inputs,
        TopicReader(kafka, prefix, Topic.CLASSIFIED, Topic.DEAD) as results,
    ):
        for record in counted(inputs.read_to_end()):
            audit.input(record)
        audit.begins(inputs.positions())
        for record in counted(results.read_to_end()):
            note = audit.letter if record.topic == dead else audit.answer
            note(record)
        patience = time.monotonic() + _NEW_INPUTS_SECONDS
        while audit.unresolved and time.monotonic() < patience:
            for record in inputs.poll(0.5):
                audit.input(record, judged=False)
    return audit.partitions(committed)


def _committed(kafka: KafkaSettings, group: str, topic: str) -> dict[int, int]:
    try:
        return committed_offsets(kafka, group, topic)
    except KafkaError as error:
        raise TryAgain(
            f"Kafka at {kafka.bootstrap_servers} does not say how far the group {group} is: {error}. "
            "Check its name (WORKER_GROUP), and that a worker has run."
        ) from error
