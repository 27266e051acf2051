"""Drift is seen soon, seldom where there is none, and told with what changed."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.records import Record
from trainer.database import Database
from trainer.detectors import Detectors
from trainer.doubt import Belief
from trainer.drift import Drift, DriftEvent, change_point
from trainer.intake import Label
from trainer.learners.base import Example
from trainer.metrics import TrainerMetrics

START = datetime(2026, 11, 25, tzinfo=UTC)
EXAMPLE = Example(np.zeros(1, np.float32), ())


class Stream:
    """Labels of domains, with predictions that are wrong as often as one wants."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "trainer.sqlite"
        self._chance = np.random.default_rng(3)
        self._number = 0
        self.begin()

    def begin(self) -> None:
        """Start, or start again."""
        self.database = Database(self._path)
        self.metrics = TrainerMetrics()
        self.drift = Drift(self.database, self.metrics)

    def close(self) -> None:
        """Stop."""
        self.database.__exit__()

    def send(
        self,
        count: int,
        error: float,
        domain: str = "nyc",
        label: str = "Private",
        suspects: bool = False,
    ) -> None:
        """Let drift see some labels, a mini-batch of 50 after the other; wrong ones may be held back."""
        wrong = (self._chance.random(count) < error).tolist()
        for start in range(0, count, 50):
            part = wrong[start : start + 50]
            said = [_label(self._number + place, domain, label) for place in range(len(part))]
            predicted = ["Shared" if each else label for each in part]
            self._number += len(part)
            with self.database.transaction():
                self.drift.observe([(each, EXAMPLE) for each in said], predicted)
                for each, guess in zip(said, predicted, strict=True):
                    if suspects and guess != label:
                        self.database.suspects.add(each, Belief({guess: 0.9, label: 0.1}))
                    else:
                        self.database.add_label(each, False, guess)

    def events(self) -> list[DriftEvent]:
        """What was kept."""
        rows = self.database._rows("SELECT event FROM drifts ORDER BY number")
        return [msgspec.json.decode(row[0], type=DriftEvent) for row in rows]


def _label(number: int, domain: str, label: str) -> Label:
    at = START + timedelta(seconds=number)
    record = Record("labelled", 0, number, None, None, (), 0)
    name = f"e-{number}"
    return Label(record, name, name, "text", label, "person", at, None, domain)


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[Stream]:
    stream = Stream(tmp_path)
    with closing(stream):
        yield stream


@pytest.mark.parametrize("error", [0.05, 0.15, 0.3])
def test_less_than_one_label_in_10_000_raises_a_false_alarm(error: float) -> None:
    """Labels in random order, 60,000 of them: five alarms at most, watched afresh after each."""
    detectors, alarms = Detectors(), 0
    for wrong in (np.random.default_rng(3).random(60_000) < error).tolist():
        if detectors.add(wrong):
            detectors, alarms = Detectors(), alarms + 1

    assert alarms < 6


@pytest.mark.parametrize("seed", range(5))
def test_a_sharp_drift_is_seen_within_100_labels(stream: Stream, seed: int) -> None:
    """An error that rises from 15% to half, after a long calm."""
    stream._chance = np.random.default_rng(seed)
    stream.send(2_000, 0.15)
    assert stream.drift.pending is None
    stream.send(100, 0.5)

    assert stream.drift.pending is not None


def test_an_event_tells_what_changed(stream: Stream) -> None:
    """Where, since when, how wrong before and after, and which classes came."""
    stream.send(600, 0.1)
    stream.send(120, 0.6, label="Hotel")
    (event,) = stream.events()
    metric = stream.metrics.registry.get_sample_value

    assert event == stream.drift.pending
    assert (event.number, event.domain) == (1, "nyc")
    assert event.detector in ("HDDM_W", "Page-Hinkley")
    assert abs((event.since - START).total_seconds() - 600) < 15
    assert event.error_before < 0.15 < 0.45 < event.error_after
    assert event.classes_before["Private"] > 0.95
    assert event.classes_after["Hotel"] > 0.95
    assert metric("roomstream_trainer_drifts_total", {"detector": event.detector}) == 1
    assert metric("roomstream_trainer_drift_pending") == 1


def test_each_domain_is_watched_by_itself(stream: Stream) -> None:
    """A city that goes wrong is not lost among others that do not."""
    for _ in range(40):
        stream.send(40, 0.1, "nyc")
        stream.send(10, 0.1, "madrid")
    for _ in range(10):
        stream.send(40, 0.1, "nyc")
        stream.send(10, 0.6, "madrid")

    assert [event.domain for event in stream.events()] == ["madrid"]


def test_a_change_is_pending_until_it_is_handled(stream: Stream) -> None:
    """By the slow path, which asks for the first; a restart forgets neither, and later ones wait too."""
    stream.send(500, 0.1)
    stream.send(100, 0.7)
    event = stream.drift.pending
    stream.close()
    stream.begin()
    stream.send(500, 0.1, "madrid")
    stream.send(100, 0.7, "madrid")
    again = stream.drift.pending
    assert event is not None
    with stream.database.transaction():
        stream.drift.handle()
    handled = stream.drift.pending
    stream.close()
    stream.begin()

    assert len(stream.events()) >= 2
    assert again == event == stream.events()[0]
    assert handled is None
    assert stream.drift.pending is None


def test_a_restart_changes_nothing(stream: Stream, tmp_path: Path) -> None:
    """The same labels, suspects among them, give the same events and leave the same in the database."""
    for part in range(24):
        stream.send(50, 0.1 if part % 12 < 8 else 0.55, suspects=True)
        stream.close()
        stream.begin()
    interrupted = stream.events(), stream.database.watched.detectors()
    folder = tmp_path / "other"
    folder.mkdir()
    other = Stream(folder)
    with closing(other):
        for _ in range(2):
            other.send(400, 0.1, suspects=True)
            other.send(200, 0.55, suspects=True)
        whole = other.events(), other.database.watched.detectors()

    assert len(whole[0]) >= 2
    assert interrupted == whole


@given(st.lists(st.booleans(), max_size=300), st.integers(0, 300))
def test_detectors_go_on_where_others_were(wrong: list[bool], stop: int) -> None:
    """Kept anywhere, they say the same of what comes after, up to the first rise."""
    whole, resumed = Detectors(), Detectors()
    for place, each in enumerate(wrong):
        if place == stop:
            resumed = Detectors.from_state(resumed.state())
        found = whole.add(each)

        assert resumed.add(each) == found
        if found:
            break
        assert resumed.state() == whole.state()


def test_only_so_many_domains_are_watched(stream: Stream) -> None:
    """Of very many those that were heard of last, and so much is kept of each."""
    for number in range(210):
        stream.send(1, 0.5, domain=f"city {number}")
    stream.send(1_100, 0.1, domain="city 209")
    domains = [domain for domain, _ in stream.database.watched.detectors()]
    ((kept,),) = stream.database._rows("SELECT count(*) FROM outcomes")

    assert domains == [f"city {number}" for number in range(10, 210)]
    assert kept == 199 + 1_000


def test_what_nothing_was_predicted_for_says_nothing(stream: Stream) -> None:
    """Before its first example the learner has no opinion that could be wrong."""
    labelled = [(_label(number, "nyc", "Private"), EXAMPLE) for number in range(500)]
    with stream.database.transaction():
        stream.drift.observe(labelled, [None] * 500)

    assert stream.drift.pending is None


@given(st.integers(20, 200), st.integers(20, 200))
def test_the_point_of_change_is_found(before: int, after: int) -> None:
    """Where all predictions turn from right to wrong, to the label."""
    assert change_point([False] * before + [True] * after) == before


@given(st.lists(st.booleans(), min_size=2, max_size=50))
def test_any_labels_have_a_point_of_change(wrong: list[bool]) -> None:
    """There is one label at least on either side."""
    assert 1 <= change_point(wrong) < len(wrong)
