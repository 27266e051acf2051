"""Dead letters: nothing of the original is lost, whatever its bytes are."""

from hypothesis import given
from hypothesis import strategies as st

from runtime.dead_letters import (
    dead_letter,
    disposition,
    fitting,
    read_dead_letter,
    replay_marker,
    replayed_offset,
    sent_back,
)
from runtime.kafka import MAX_REQUEST_BYTES
from runtime.records import DEAD_PREFIX, Outbound, Record, forwarded

HEADER_NAMES = st.text(max_size=20).filter(lambda name: not name.startswith(DEAD_PREFIX))
HEADERS = st.lists(st.tuples(HEADER_NAMES, st.binary(max_size=50)), max_size=5).map(tuple)
RECORDS = st.builds(
    Record,
    topic=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1),
    partition=st.integers(0, 2**31 - 1),
    offset=st.integers(0, 2**63 - 1),
    key=st.none() | st.binary(max_size=100),
    value=st.none() | st.binary(max_size=1_000),
    headers=HEADERS,
    timestamp_ms=st.integers(0, 2**62),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


def arrived(letter: Outbound, timestamp_ms: int) -> Record:
    """A dead letter as the broker holds it."""
    return Record(letter.topic, 3, 14, letter.key, letter.value, letter.headers, timestamp_ms)


@given(record=RECORDS, stage=TEXTS, error=TEXTS, message=TEXTS)
def test_a_dead_letter_gives_the_original_back(
    record: Record, stage: str, error: str, message: str
) -> None:
    """Key, value, headers and place are as they came in, and the reasons can be read."""
    outbound = dead_letter("dead", record, stage=stage, error=error, message=message)
    letter = read_dead_letter(arrived(outbound, record.timestamp_ms))

    assert record == letter.original
    assert (stage, error, message) == (letter.stage, letter.error, letter.message)
    assert (letter.topic, letter.partition, letter.offset) == (
        record.topic,
        record.partition,
        record.offset,
    )
    assert (letter.attempts, letter.disposition, letter.release) == (1, disposition(error), None)


@given(record=RECORDS, times=st.integers(1, 5))
def test_attempts_are_counted_up(record: Record, times: int) -> None:
    """A letter that was sent back and failed again says how often; its own headers do not pile up."""
    for _ in range(times):
        outbound = dead_letter("dead", record, stage="infer", error="e", message="m")
        record = Record(
            record.topic, 0, 7, outbound.key, outbound.value, outbound.headers, record.timestamp_ms
        )
    ours = [name for name, _ in record.headers if name.startswith(DEAD_PREFIX)]

    assert times == read_dead_letter(record).attempts
    assert sorted(set(ours)) == sorted(ours)


def test_what_may_work_later_says_so_and_names_the_release() -> None:
    """An operator sends these back once the world is mended."""
    record = Record("listings", 0, 1, b"k", b"v", (), 0)
    outbound = dead_letter(
        "dead",
        record,
        stage="infer",
        error="inference",
        message="m",
        release="r-1",
    )
    letter = read_dead_letter(arrived(outbound, 0))

    assert (letter.release, letter.disposition) == ("r-1", "systemic")


@given(
    headers=st.lists(
        st.tuples(
            st.sampled_from(["partition", "offset", "attempts", "stage"]).map(DEAD_PREFIX.__add__),
            st.binary(max_size=30)
            | st.text("0123456789²-", max_size=30).map(str.encode)
            | st.just(b"9" * 5_000),
        )
    ).map(tuple)
)
def test_whatever_is_on_the_topic_can_be_read(headers: tuple[tuple[str, bytes], ...]) -> None:
    """Letters that others wrote, with headers of any bytes, do not stop an operator's list."""
    record = Record("dead", 0, 0, None, b"x", headers, 0)
    letter = read_dead_letter(record)

    assert dead_letter("dead", record, stage="decode", error="e", message="m").value == b"x"
    assert letter.partition >= -1
    assert letter.attempts >= 0
    assert letter.original.value == b"x"


def test_a_letter_without_headers_reads_as_empty() -> None:
    """Nothing is made up: empty, 0 or -1."""
    letter = read_dead_letter(Record("dead", 5, 6, b"k", None, (("traceparent", b"t"),), 9))

    assert (
        letter.stage,
        letter.topic,
        letter.partition,
        letter.offset,
        letter.attempts,
    ) == ("", "", -1, -1, 0)
    assert letter.original.headers == (("traceparent", b"t"),)


@given(record=RECORDS)
def test_a_letter_that_is_sent_back_is_the_original_and_counts_on(record: Record) -> None:
    """Only how often it failed is added; none of it reaches a result, and it fails as attempt two."""
    outbound = dead_letter("dead", record, stage="infer", error="inference", message="m")
    back = sent_back(read_dead_letter(arrived(outbound, record.timestamp_ms)))
    again = Record(record.topic, 0, 7, back.key, back.value, back.headers, 0)
    second = dead_letter("dead", again, stage="infer", error="inference", message="m")

    assert (back.topic, back.key, back.value) == (record.topic, record.key, record.value)
    assert back.headers == (*record.headers, (DEAD_PREFIX + "attempts", b"1"))
    assert forwarded(back.headers) == forwarded(record.headers)
    assert read_dead_letter(arrived(second, 0)).attempts == 2


@given(record=RECORDS)
def test_a_marker_is_told_from_every_letter(record: Record) -> None:
    """It names the letter's offset; no letter is taken for one, whatever headers its original had."""
    marker = replay_marker(record)
    forged = Record("listings", 0, 1, b"k", None, marker.headers, 0)
    letter = dead_letter("dead", forged, stage="decode", error="e", message="m")

    assert replayed_offset(arrived(marker, 0)) == record.offset
    assert (marker.topic, marker.value) == (record.topic, None)
    assert replayed_offset(arrived(letter, 0)) is None


def test_absurd_attempts_stop_nobody() -> None:
    """A header of thousands of digits counts as none."""
    record = Record("listings", 0, 1, b"k", b"v", (("dead-attempts", b"9" * 5_000),), 0)
    letter = dead_letter("dead", record, stage="decode", error="e", message="m")

    assert read_dead_letter(arrived(letter, 0)).attempts == 1


def test_what_no_producer_of_ours_can_send_is_cut() -> None:
    """A small compressed message may unpack to anything: in its key, its value or its headers."""
    big = b"x" * MAX_REQUEST_BYTES
    for key, value, headers in (
        (big, b"v", ()),
        (b"k", big, ()),
        (b"k", b"v", (("trace", big),)),
        (b"k", b"v", (("", b""),) * 1_000_000),
    ):
        record = Record("listings", 3, 14, key, value, headers, 0)
        letter = fitting(dead_letter("dead", record, stage="decode", error="e", message="m"))
        read = read_dead_letter(arrived(letter, 0))

        assert letter.most_bytes < 150_000
        assert (read.error, read.partition, read.offset) == ("e", 3, 14)
        assert key.startswith(read.original.key or b"?")
        assert value.startswith(read.original.value or b"?")


@given(record=RECORDS)
def test_what_fits_is_left_alone(record: Record) -> None:
    """And the estimate of its size is never under the truth."""
    letter = dead_letter("dead", record, stage="decode", error="e", message="m")
    size = len(letter.key or b"") + len(letter.value or b"")
    size += sum(len(name.encode()) + len(value) for name, value in letter.headers)

    assert fitting(letter) is letter
    assert letter.most_bytes > size
