"""
The proof that every listing has exactly one result, offset by offset.

A result names the position of its input, so inputs and results are compared without keeping either: one
byte of flags for each offset of `listings` is all that stays in memory; eight for the result of a listing
that came while the audit ran.
"""

import time
from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import msgspec
from kafka import TopicPartition
from kafka.errors import KafkaError

from roomstream.reading import TopicReader, committed_offsets, end_offsets, least_kept_ms
from runtime.dead_letters import read_dead_letter, replayed_offset
from runtime.records import Record
from runtime.settings import KafkaSettings
from schemas.errors import TryAgain
from schemas.events import InputPosition
from schemas.topics import Topic

_THERE, _CHOSEN, _TOMBSTONE, _ANSWERED, _DEAD, _REPEATED = 1, 2, 4, 8, 16, 32
_RESULT = _ANSWERED | _DEAD
_SHOWN = 5
_OFFSETS = 1 << 63  # Kafka has no more

Counted = Callable[[Iterable[Record]], Iterable[Record]]
Fault = Literal["lost", "missing", "repeated", "unknown"]


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
        first: Its first offset that retention has not deleted.
        answered: Messages with exactly one answer.
        dead: Messages with exactly one dead letter.
        skipped: Tombstones that were passed over.
        waiting: Messages that the workers have not committed yet.
        expired: Messages without a result, of a time of which retention has deleted results: nobody can
            tell what became of them.
        lost: Offsets that retention deleted before the workers committed them.
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
    expired: int = 0
    lost: int = 0
    missing: int = 0
    repeated: int = 0
    unknown: int = 0
    examples: dict[Fault, list[int]] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether nothing is lost, missing, repeated or unknown."""
        return not (self.lost or self.missing or self.repeated or self.unknown)


class Audit:
    """
    Compares inputs with results. All inputs are noted first, then where they begin, then the results.

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
        self._newer: dict[int, array[int]] = {}  # offsets of results whose input came later
        self._nowhere = PartitionAudit(-1)

    def input(self, record: Record) -> None:
        """Note a message of `listings`; offsets of a partition come in order."""
        flags = _THERE
        if self._start_ms <= record.timestamp_ms < self._end_ms:
            flags |= _CHOSEN
        if record.value is None:
            flags |= _TOMBSTONE
        first = self._first.setdefault(record.partition, record.offset)
        known = self._flags.setdefault(record.partition, bytearray())
        known.extend(bytes(max(0, record.offset - first + 1 - len(known))))
        known[record.offset - first] |= flags

    def begins(self, offsets: Mapping[int, int]) -> None:
        """Say where each partition begins; what was noted before that has just been deleted."""
        for partition, begin in offsets.items():
            first = self._first.get(partition, begin)
            flags = self._flags.setdefault(partition, bytearray())
            flags[: max(0, begin - first)] = bytes(max(0, first - begin))
            self._first[partition] = begin

    def answer(self, record: Record) -> None:
        """Note a message of `classified`."""
        try:
            position = _DECODER.decode(record.value or b"").input
        except (msgspec.MsgspecError, UnicodeDecodeError):
            _fault(self._nowhere, "unknown", record.offset)
            return
        if position.topic == self._topic:
            self._result(record, position.partition, position.offset, _ANSWERED)
        else:
            _fault(self._nowhere, "unknown", record.offset)

    def letter(self, record: Record) -> None:
        """Note a message of `dead`; markers and letters of other topics are passed over."""
        if replayed_offset(record) is not None:
            return
        letter = read_dead_letter(record)
        if letter.topic == self._topic:
            self._result(record, letter.partition, letter.offset, _DEAD)

    def partitions(
        self,
        committed: Mapping[int, int],
        ends: Mapping[int, int],
        kept_from: Mapping[int, int] | None = None,
    ) -> list[PartitionAudit]:
        """
        Judge what was noted.

        Args:
            committed: The workers' next offset, of each partition where they have committed one.
            ends: Where each partition ended after the last result was read.
            kept_from: Of inputs before this offset results may have been deleted.
        """
        audits = {
            name: self._judged(name, committed.get(name), (kept_from or {}).get(name, 0))
            for name in sorted(self._flags)
        }
        for partition, offsets in sorted(self._newer.items()):
            audit = audits.setdefault(partition, PartitionAudit(partition))
            for offset in offsets:
                if offset >= ends.get(partition, 0):
                    _fault(audit, "unknown", offset)
        return [*audits.values(), *([] if self._nowhere.whole else [self._nowhere])]

    def _result(self, record: Record, partition: int, offset: int, kind: int) -> None:
        if partition < 0 or not 0 <= offset < _OFFSETS:
            _fault(self._nowhere, "unknown", record.offset)
            return
        first, flags = self._first.get(partition, 0), self._flags.get(partition, bytearray())
        place = offset - first
        if place >= len(flags):
            self._newer.setdefault(partition, array("q")).append(offset)
        elif place >= 0:  # else its input has been deleted
            flags[place] |= _REPEATED if flags[place] & _RESULT else kind

    def _judged(self, partition: int, committed: int | None, kept_from: int) -> PartitionAudit:
        first = self._first[partition]
        audit = PartitionAudit(partition, first)
        if committed is not None and committed < first:
            audit.lost, audit.examples["lost"] = first - committed, [committed]
        for offset, flags in enumerate(self._flags[partition], first):
            if flags & _CHOSEN:
                _judge(audit, offset, flags, offset < (committed or 0), offset < kept_from)
            elif flags & _RESULT and not flags & _THERE:
                _fault(audit, "unknown", offset)
        return audit


def _judge(audit: PartitionAudit, offset: int, flags: int, committed: bool, expired: bool) -> None:
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
    elif expired:
        audit.expired += 1
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
    are all found. Where `listings` ends is asked last: what results name lies before that.

    Args:
        kafka: How to reach Kafka.
        prefix: What the names of topics begin with.
        group: The workers' consumer group on the broker.
        start: Inputs before this time are not judged.
        end: Inputs from this time on are not judged.
        counted: Sees every record go by, to show progress.

    Raises:
        TryAgain: The broker cannot be read, or the group has never committed.
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
        audit.begins(_by_partition(inputs.begin_offsets()))
        oldest: dict[TopicPartition, Record] = {}
        for record in counted(results.read_to_end()):
            oldest.setdefault(TopicPartition(record.topic, record.partition), record)
            note = audit.letter if record.topic == dead else audit.answer
            note(record)
        deleted_ms = _deleted_ms(kafka, results.begin_offsets(), oldest)
        kept_from = inputs.offsets_at(deleted_ms) if deleted_ms else {}
        ends = end_offsets(kafka, listings)
    return audit.partitions(committed, _by_partition(ends), _by_partition(kept_from))


def _committed(kafka: KafkaSettings, group: str, topic: str) -> dict[int, int]:
    """How far the workers are; a group that has never committed may be another one than theirs."""
    try:
        committed = committed_offsets(kafka, group, topic)
    except KafkaError as error:
        raise TryAgain(
            f"Kafka at {kafka.bootstrap_servers} does not say how far the group {group} is: {error}. "
            "Check its name (WORKER_GROUP), and that a worker has run."
        ) from error
    if not committed and any(end_offsets(kafka, topic).values()):
        raise TryAgain(
            f"The group {group} has committed nothing of {topic}, though there were listings. Check its "
            "name (WORKER_GROUP), and that a worker has run: Kafka forgets a group that has been away "
            "for longer than offsets.retention.minutes."
        )
    return committed


def _deleted_ms(
    kafka: KafkaSettings,
    begins: Mapping[TopicPartition, int],
    oldest: Mapping[TopicPartition, Record],
) -> float:
    """
    The time before which retention may have deleted results; 0 if it has deleted none.

    What it has deleted of a partition is older than what is left there, and older than its topic keeps
    everything. The second bounds it in a partition where little comes.
    """
    now_ms, deleted_ms = time.time() * 1000, 0.0
    cut = {place: begin for place, begin in begins.items() if begin}
    sure_ms = {topic: now_ms - least_kept_ms(kafka, topic) for topic in {x.topic for x in cut}}
    for place, begin in cut.items():
        first = oldest.get(place)
        left_ms = first.timestamp_ms if first and first.offset >= begin else now_ms
        deleted_ms = max(deleted_ms, min(left_ms, sure_ms[place.topic]))
    return deleted_ms


def _by_partition(offsets: Mapping[TopicPartition, int]) -> dict[int, int]:
    return {place.partition: offset for place, offset in offsets.items()}
