"""When a fine-tuning begins, and what it may take in a day."""

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from trainer.database import Database
from trainer.finetuning.memory import Memory, reason, recall, remember, want, wanted
from trainer.settings import TrainerSettings

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("labels", "seconds", "expected"),
    [
        (99, 0, ""),
        (100, 0, "100 labels since the last time"),
        (1, 59, ""),
        (1, 60, "60 s since the last time"),
        (0, 3_600, ""),
    ],
)
def test_labels_and_time_trigger(labels: int, seconds: float, expected: str) -> None:
    """Enough labels, or enough time if there is anything new."""
    settings = TrainerSettings(finetune_every_labels=100, finetune_every_seconds=60)
    memory = Memory(label=50, ended_at=NOON.timestamp())

    assert reason(settings, memory, 50 + labels, NOON + timedelta(seconds=seconds)) == expected


def test_0_means_never() -> None:
    """Neither labels nor time begin one then."""
    settings = TrainerSettings(finetune_every_labels=0, finetune_every_seconds=0)

    assert not reason(settings, Memory(), 1_000_000, NOON)


def test_spending_is_counted_by_day() -> None:
    """Midnight (UTC) gives the whole budget again."""
    memory = Memory().spending(30, NOON).spending(12, NOON + timedelta(hours=11))

    assert memory.spent(NOON) == 42
    assert memory.spent(NOON + timedelta(hours=12)) == 0
    assert memory.spending(5, NOON + timedelta(hours=12)).spent_seconds == 5


def test_it_is_remembered_with_what_is_written_beside_it(tmp_path: Path) -> None:
    """In the trainer's database: a wish that a transaction does not complete is none."""
    with Database(tmp_path / "trainer.sqlite") as database:
        assert (recall(database), wanted(database)) == (Memory(), "")
        with database.transaction():
            want(database, "drift in Madrid")
            remember(database, Memory(job="7"))
        with contextlib.suppress(InterruptedError), database.transaction():
            want(database, "")
            raise InterruptedError

    with Database(tmp_path / "trainer.sqlite") as database:
        assert (recall(database).job, wanted(database)) == ("7", "drift in Madrid")
