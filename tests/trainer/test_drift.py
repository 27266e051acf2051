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
        keep: bool = True,
    ) -> None:
        """Let drift see some labels, and keep them as a trainer does."""
        with self.database.transaction():
            for wrong in self._chance.random(count) < error:
                said = _label(self._number, domain, label)
                predicted = "Shared" if wrong else label
                self.drift.observe([(said, EXAMPLE)], [predicted])
                if keep:
                    self.database.add_label(said, False, predicted)
                self._number += 1

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
def test_labels_in_random_order_raise_no_alarm(stream: Stream, error: float) -> None:
    """Under one in 10,000 labels, whatever the error."""
    stream.send(60_000, error, keep=False)

    assert len(stream.events()) < 6


@pytest.mark.parametrize("seed", range(5))
def test_a_sharp_drift_is_seen_within_100_labels(stream: Stream, seed: int) -> None:
    """An error that rises from 15% to half, after a long calm."""
    stream._chance = np.random.default_rng(seed)
    stream.send(2_000, 0.15, keep=False)
    assert stream.drift.pending is None
    stream.send(100, 0.5, keep=False)

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
    """By the slow path, which asks for it; a restart forgets neither."""
    stream.send(500, 0.1)
    stream.send(120, 0.7)
    event = stream.drift.pending
    stream.close()
    stream.begin()
    again = stream.drift.pending
    assert event is not None
    with stream.database.transaction():
        stream.drift.handle(event)
    handled = stream.drift.pending
    stream.close()
    stream.begin()

    assert again == event
    assert handled is None
    assert stream.drift.pending is None


def test_a_restart_changes_nothing(stream: Stream, tmp_path: Path) -> None:
    """The same labels give the same events, however often the trainer starts again between them."""
    for part in range(12):
        stream.send(50, 0.1 if part < 8 else 0.55)
        stream.close()
        stream.begin()
    interrupted = stream.events()
    folder = tmp_path / "other"
    folder.mkdir()
    other = Stream(folder)
    with closing(other):
        other.send(400, 0.1)
        other.send(200, 0.55)
        whole = other.events()

    assert len(whole) >= 1
    assert interrupted == whole


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
