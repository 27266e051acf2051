"""The audit finds whatever is missing, repeated or unknown, and nothing else."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from roomstream.audit import Audit, PartitionAudit
from roomstream.cli import app
from runtime.dead_letters import dead_letter
from runtime.records import Record
from schemas.codec import encode
from schemas.errors import ConfigurationError
from schemas.events import Classification, InputPosition

AT = datetime(2026, 11, 24, 9, tzinfo=UTC)
FIRST = 7
KINDS = st.sampled_from(["event", "tombstone", "gap"])


def message(offset: int, value: bytes | None = b"{}", at: datetime = AT) -> Record:
    return Record("listings", 0, offset, b"l", value, (), int(at.timestamp() * 1000))


def answer(offset: int, partition: int = 0, topic: str = "listings") -> Record:
    position = InputPosition(topic=topic, partition=partition, offset=offset)
    event = Classification(
        event_id="e",
        listing_id="l",
        label="Private room",
        scores={"Private room": 1.0},
        confidence=1.0,
        needs_review=False,
        release="r",
        input=position,
        classified_at=AT,
    )
    return Record("classified", 0, 0, b"l", encode(event)[0], (), 0)


def letter(offset: int, topic: str = "listings") -> Record:
    origin = Record(topic, 0, offset, b"l", b"{", (), 0)
    sent = dead_letter("dead", origin, stage="decode", error="not_json", message="Not JSON.")
    return Record("dead", 0, 0, sent.key, sent.value, sent.headers, 0)


@given(
    kinds=st.lists(KINDS, min_size=1, max_size=12),
    results=st.lists(st.tuples(st.integers(FIRST - 3, FIRST + 14), st.booleans()), max_size=12),
    begin=st.integers(FIRST - 2, FIRST + 14),
    committed=st.integers(0, FIRST + 14),
    kept_from=st.integers(0, FIRST + 14),
    newer=st.integers(0, 5),
)
def test_it_counts_as_one_would_by_hand(
    kinds: list[str],
    results: list[tuple[int, bool]],
    begin: int,
    committed: int,
    kept_from: int,
    newer: int,
) -> None:
    """Any messages, gaps and tombstones with any results, whatever is deleted or comes meanwhile."""
    audit = Audit("listings")
    noted = {FIRST + n: kind for n, kind in enumerate(["event", *kinds, "event"])}
    for offset, kind in noted.items():
        if kind != "gap":
            audit.input(message(offset, b"{}" if kind == "event" else None))
    audit.begins({0: begin})
    for offset, is_answer in results:
        (audit.answer if is_answer else audit.letter)(
            answer(offset) if is_answer else letter(offset)
        )
    end = max(begin, *(offset + 1 for offset in noted))
    (found,) = audit.partitions({0: committed}, {0: end + newer}, {0: kept_from})

    there = {offset: kind for offset, kind in noted.items() if offset >= begin}
    times = Counter(offset for offset, _ in results if offset >= begin)
    events = [offset for offset, kind in there.items() if kind == "event"]
    tombstones = [offset for offset, kind in there.items() if kind == "tombstone"]
    single = [offset for offset in events if times[offset] == 1]
    answered = [offset for offset in single if (offset, True) in results]
    silent = [offset for offset in events if not times[offset] and offset < committed]
    came_later = range(end, end + newer)
    strange = [offset for offset in times if offset not in events and offset not in came_later]

    assert found.answered == len(answered)
    assert found.dead == len(single) - len(answered)
    assert found.repeated == sum(times[offset] > 1 for offset in events)
    assert found.missing == sum(offset >= kept_from for offset in silent)
    assert found.expired == sum(offset < kept_from for offset in silent)
    assert found.lost == max(0, begin - committed)
    assert found.skipped == sum(not times[offset] and offset < committed for offset in tombstones)
    assert found.waiting == sum(
        not times[offset] and offset >= committed for offset in [*events, *tombstones]
    )
    assert (found.unknown == 0) == (not strange)


def test_faults_are_told_with_their_first_offsets() -> None:
    """Of very many the first five are enough to look them up."""
    audit = Audit("listings")
    for offset in range(20):
        audit.input(message(offset))
    (found,) = audit.partitions({0: 20}, {0: 20})

    assert found.missing == 20
    assert found.examples == {"missing": [0, 1, 2, 3, 4]}
    assert not found.whole


def test_results_of_others_are_told_apart() -> None:
    """Unknown: answers elsewhere, to impossible offsets, in no known form. Not ours: labels, markers."""
    audit = Audit("listings")
    audit.input(message(0))
    audit.answer(answer(0))
    audit.letter(letter(3, topic="labelled"))
    audit.letter(Record("dead", 0, 4, b"l", None, (("dead-replayed", b"3"),), 0))
    audit.answer(answer(0, topic="elsewhere"))
    audit.letter(letter(1 << 63))
    audit.letter(letter(-1))
    for offset in range(9, 19):
        audit.answer(Record("classified", 0, offset, b"l", b"no answer", (), 0))
    ours, strangers = audit.partitions({0: 1}, {0: 1})

    assert (ours.answered, ours.whole) == (1, True)
    assert (strangers.partition, strangers.unknown) == (-1, 13)
    assert strangers.examples == {"unknown": [0, 0, 0, 9, 10]}


def test_only_the_chosen_time_is_judged() -> None:
    """Messages before and after it, with or without a result, are no fault."""
    audit = Audit("listings", AT, AT + timedelta(minutes=1))
    for offset, minutes in enumerate((-1, 0, 1)):
        audit.input(message(offset, at=AT + timedelta(minutes=minutes)))
    audit.answer(answer(1))
    (found,) = audit.partitions({0: 3}, {0: 3})

    assert found == PartitionAudit(0, 0, answered=1)


def test_an_input_that_retention_has_taken_is_no_fault() -> None:
    """Its answer may outlive it, also where its partition is empty now."""
    audit = Audit("listings")
    audit.input(message(5))
    audit.begins({0: 5, 1: 40})
    audit.answer(answer(5))
    audit.answer(answer(2))
    audit.answer(answer(39, partition=1))
    found = audit.partitions({0: 6, 1: 40}, {0: 6, 1: 40})

    assert found == [PartitionAudit(0, 5, answered=1), PartitionAudit(1, 40)]


def test_however_many_listings_come_while_results_are_read_none_is_unknown() -> None:
    """That they are there is all that is asked; the next audit judges them."""
    audit = Audit("listings")
    audit.input(message(0))
    for offset in range(1_000):
        audit.answer(answer(offset))
    (found,) = audit.partitions({0: 1}, {0: 999})

    assert found == PartitionAudit(0, 0, answered=1, unknown=1, examples={"unknown": [999]})


def test_one_beginning_of_the_time_is_enough() -> None:
    """Of --since and --from."""
    done = CliRunner().invoke(app, ["audit", "--since", "24h", "--from", "2026-11-24"])

    assert isinstance(done.exception, ConfigurationError)
    assert "--since 24h and --from 2026-11-24: give one" in str(done.exception)
