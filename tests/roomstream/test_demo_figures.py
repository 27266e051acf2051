"""The figures of a demo: quarters, counters that start anew, labels until they are live."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artefacts.manifest import OffsetRange
from roomstream.demo.figures import SummedCounter, quarter_accuracies, rolling_accuracy
from roomstream.demo.label_clock import LabelClock
from roomstream.demo.options import DemoOptions
from roomstream.demo.report import Report
from schemas.errors import ConfigurationError


def report(**changes: Any) -> Report:
    figures: dict[str, Any] = {
        "events_sent": 100,
        "classified": 90,
        "dead": 8,
        "skipped": 2,
        "missing": 0,
        "repeated": 0,
        "unexpected": [],
        "labels_sent": 30,
        "labels_learned": 28,
        "labels_doubted": 2,
        "releases": 3,
        "reloads": {"worker-0": 2, "worker-1": 2},
        "worker_restarts": 0,
        "trainer_restarts": 0,
        "accuracy_first_quarter": 0.5,
        "accuracy_last_quarter": 0.8,
        "label_to_live_seconds_median": 2.0,
        "seconds": 90.0,
    }
    return Report(**(figures | changes))


@given(
    first=st.lists(st.booleans(), min_size=1, max_size=20),
    middle=st.lists(st.booleans(), max_size=20),
    last=st.lists(st.booleans(), min_size=1, max_size=20),
)
def test_quarters_are_the_ends_of_the_run(
    first: list[bool], middle: list[bool], last: list[bool]
) -> None:
    """Each quarter is a quarter of all answers, rounded down, and neither sees the middle."""
    judged = [*first, *middle, *last]
    size = len(judged) // 4
    if size == 0:
        assert quarter_accuracies(judged) == (None, None)
        return
    early, late = quarter_accuracies(judged)

    assert sum(judged[:size]) / size == pytest.approx(early)
    assert sum(judged[len(judged) - size :]) / size == pytest.approx(late)


def test_rolling_accuracy_forgets() -> None:
    """Only the newest answers count; without answers there is no figure."""
    assert rolling_accuracy([]) is None
    assert rolling_accuracy([False] * 50 + [True] * 10, window=10) == 1.0


@given(lives=st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=10), min_size=1, max_size=5))
def test_a_counter_is_summed_over_the_lives_of_its_process(lives: list[list[int]]) -> None:
    """What a process counted before it died is not lost, however often it is read."""
    counter = SummedCounter()
    total = 0
    for steps in lives:
        counter.update(0)  # a new process
        value = 0
        for step in steps:
            value += step
            counter.update(value)
        total += value

    assert total == counter.total


def test_a_label_is_live_when_every_worker_answers_with_a_release_that_learned_it() -> None:
    """One worker that lags, or does not say, holds the clock."""
    clock = LabelClock()
    clock.sent(0, 7, at=10.0)
    clock.published("base", [])
    clock.published("r-1", [OffsetRange("labelled", 0, 0, 8), OffsetRange("labelled", 1, 0, 3)])
    for releases in ({"a": "r-1", "b": "base"}, {"a": "r-1", "b": None}, {"a": "r-1", "b": "new"}):
        clock.live(releases, at=11.0)

    assert clock.seconds == []
    clock.live({"a": "r-1", "b": "r-1"}, at=12.5)
    assert clock.median_seconds == 2.5
    assert not clock.waiting


def test_a_label_beyond_the_lineage_is_not_live() -> None:
    """The offset after the last one learned, and the same offset elsewhere, are not covered."""
    clock = LabelClock()
    clock.sent(0, 8, at=0.0)
    clock.sent(1, 7, at=0.0)
    clock.published("r-1", [OffsetRange("labelled", 0, 0, 8)])
    clock.live({"a": "r-1"}, at=1.0)

    assert len(clock.waiting) == 2
    assert clock.median_seconds is None


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"missing": 1}, "1 messages became nothing."),
        ({"labels_learned": 27}, "30 labels sent, 27 learned, 2 doubted."),
        ({"labels_doubted": 3}, "30 labels sent, 28 learned, 3 doubted."),
        ({"releases": 2}, "2 releases, expected at least 3"),
        ({"reloads": {"worker-0": 2, "worker-1": 1}}, "worker-1 took up 1 releases"),
        ({"unexpected": ["listings 0:1 was classified"]}, "listings 0:1 was classified."),
        ({"failure": "Out of time."}, "Out of time."),
    ],
)
def test_what_is_not_as_promised_is_said(changes: dict[str, Any], fault: str) -> None:
    """Each promise that is broken makes the demo fail, in words."""
    assert report().failed == []
    assert any(text.startswith(fault) for text in report(**changes).failed)


def test_restarts_and_repeats_are_no_failure() -> None:
    """A worker that was killed and came back lost nothing: that is the promise."""
    assert report(worker_restarts=1, trainer_restarts=1, repeated=40).failed == []


def test_the_report_is_plain_json(tmp_path: Path) -> None:
    """Machines read the same figures that people see."""
    report(missing=2).write(tmp_path / "report.json")
    figures = json.loads((tmp_path / "report.json").read_text())

    assert figures["reloads"] == {"worker-0": 2, "worker-1": 2}
    assert figures["missing"] == 2
    assert figures["failed"] == ["2 messages became nothing."]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labelled": 0.0}, "--labelled 0.0 is not a share"),
        ({"labelled": 1.5}, "--labelled 1.5 is not a share"),
        ({"events": 0}, "--events 0"),
        ({"report": Path("/nowhere/report.json")}, "there is no folder /nowhere"),
    ],
)
def test_options_that_cannot_work_are_refused_at_once(
    changes: dict[str, Any], message: str
) -> None:
    """Not after two minutes."""
    with pytest.raises(ConfigurationError, match=message):
        DemoOptions(**changes)
