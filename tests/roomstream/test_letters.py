"""Which letters are meant, and what a replay does with each."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomstream.letters import Choice, Replayed, Sorter
from runtime.dead_letters import dead_letter, read_dead_letter, replay_marker
from runtime.records import Record
from schemas.events import MAX_PAYLOAD_BYTES

AT = datetime(2026, 11, 24, 9, tzinfo=UTC)
ORIGINS = {"listings": {0, 1}, "labelled": {0}}


def letter(
    offset: int = 0,
    topic: str = "listings",
    partition: int = 0,
    value: bytes | None = b"v",
    attempts: int = 1,
    at: datetime = AT,
) -> Record:
    """A letter on the dead-letter topic, of an error that the world may mend."""
    headers = (("dead-attempts", b"%d" % (attempts - 1)),)
    origin = Record(topic, partition, 40 + offset, b"l", value, headers, 0)
    sent = dead_letter("dead", origin, stage="infer", error="inference", message="m", release="r-1")
    milliseconds = int(at.timestamp() * 1000)
    return Record("dead", 2, offset, sent.key, sent.value, sent.headers, milliseconds)


def arrived_marker(record: Record, offset: int) -> Record:
    """A marker as the broker holds it."""
    marker = replay_marker(record)
    return Record("dead", record.partition, offset, marker.key, None, marker.headers, 0)


@pytest.mark.parametrize(
    ("choice", "taken"),
    [
        (Choice(), True),
        (Choice(stage="infer", error="inference", release="r-1", topic="listings"), True),
        (Choice(stage="decode"), False),
        (Choice(error="not_json"), False),
        (Choice(release=""), False),
        (Choice(disposition="poison"), False),
        (Choice(topic="labelled"), False),
        (Choice(since=AT), True),
        (Choice(since=AT + timedelta(seconds=1)), False),
    ],
)
def test_every_wish_counts(choice: Choice, taken: bool) -> None:
    """A letter is chosen if it meets all that was asked for; what was not asked for does not matter."""
    assert choice.takes(read_dead_letter(letter())) == taken


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (letter(topic="elsewhere"), "'elsewhere'"),
        (letter(topic="classified"), "'classified'"),
        (letter(partition=7), "listings[7]@40"),
        (letter(value=None), "no message"),
        (letter(value=b"x" * (MAX_PAYLOAD_BYTES + 1)), "the original was at listings[0]@40"),
        (letter(value=b"x" * MAX_PAYLOAD_BYTES), ""),
        (Record("dead", 0, 0, None, b"x", (), 0), "''"),
    ],
)
def test_what_cannot_go_back_says_why(record: Record, says: str) -> None:
    """Only a whole message goes, and only to an input of this deployment."""
    sorter = Sorter(Choice(), Replayed(), ORIGINS, max_attempts=3)
    fault = sorter.fault(read_dead_letter(record))

    assert says in fault
    assert bool(says) == bool(fault)
    assert sorter.fate(record, read_dead_letter(record)) == ("not_replayable" if says else "sent")


@given(
    letters=st.lists(st.tuples(st.integers(1, 5), st.booleans(), st.booleans()), max_size=30),
    limit=st.none() | st.integers(1, 5),
    most=st.integers(1, 5),
)
def test_runs_go_on_until_nothing_is_left(
    letters: list[tuple[int, bool, bool]], limit: int | None, most: int
) -> None:
    """Whatever was sent before, run after run sends every letter once that is chosen and not given up."""
    records = [
        letter(n, topic="listings" if chosen else "labelled", attempts=attempts)
        for n, (attempts, chosen, _) in enumerate(letters)
    ]
    replayed, offset = Replayed(), len(records)
    for record, (_, _, before) in zip(records, letters, strict=True):
        if before:
            replayed.note(arrived_marker(record, offset))
    sent: Counter[int] = Counter()
    for _ in range(len(records) + 1):
        sorter = Sorter(Choice(topic="listings"), replayed, ORIGINS, most, limit)
        fates = [sorter.fate(record, read_dead_letter(record)) for record in records]
        going = [x for x, fate in zip(records, fates, strict=True) if fate == "sent"]
        assert limit is None or len(going) <= limit
        for record in going:
            sent[record.offset] += 1
            replayed.note(arrived_marker(record, offset))

    assert sent == Counter(
        n
        for n, (attempts, chosen, before) in enumerate(letters)
        if chosen and not before and attempts < most
    )
