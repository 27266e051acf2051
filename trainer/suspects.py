"""Labels that are held back because they contradict what the learner is sure of."""

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from runtime.records import Record
from schemas.errors import ConfigurationError
from trainer.database_file import Rows, translated
from trainer.doubt import Belief
from trainer.intake import Label

KEPT = 10_000
"""Of more suspects the oldest are forgotten: a flood must not fill the disk."""


class Suspect(NamedTuple):
    """A label that is held back, and what the learner said instead, with which score."""

    label: Label
    said: str
    confidence: float


class Suspects:
    """
    The table `suspects`; writes belong into a transaction of the database.

    Args:
        run: Executes a statement and returns its rows.
    """

    def __init__(self, run: Rows) -> None:
        self._run = run

    def add(self, label: Label, belief: Belief) -> None:
        """Hold a label back."""
        record = label.record
        self._run(
            "INSERT INTO suspects VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            label.event_id,
            label.listing_id,
            label.text,
            label.label,
            label.origin,
            label.labelled_at.isoformat(),
            label.propensity,
            label.domain,
            label.annotator,
            record.topic,
            record.partition,
            record.offset,
            record.timestamp_ms,
            belief.label,
            belief.scores[belief.label],
            belief.scores.get(label.label, 0.0),
        )
        self._run(
            "DELETE FROM suspects WHERE number <= (SELECT max(number) FROM suspects) - ?", KEPT
        )

    def all(self) -> list[Suspect]:
        """Every suspect, oldest first."""
        return [_suspect(row) for row in self._run("SELECT * FROM suspects ORDER BY number")]

    def of(self, listing_id: str, label: str) -> list[Suspect]:
        """The labels held back that say this of a listing, oldest first."""
        rows = self._run(
            "SELECT * FROM suspects WHERE listing_id = ? AND label = ? ORDER BY number",
            listing_id,
            label,
        )
        return [_suspect(row) for row in rows]

    def remove(self, suspect: Suspect) -> None:
        """Hold a label back no longer."""
        self._run("DELETE FROM suspects WHERE event_id = ?", suspect.label.event_id)

    def newest(self, most: int) -> list[Suspect]:
        """The last suspects, oldest of them first."""
        rows = self._run("SELECT * FROM suspects ORDER BY number DESC LIMIT ?", most)
        return [_suspect(row) for row in reversed(rows)]

    def last_number(self) -> int:
        """The number of the newest suspect; 0 if there is none. Numbers are never given again."""
        ((last,),) = self._run("SELECT max(number) FROM suspects")
        return int(last or 0)

    def count_after(self, number: int) -> int:
        """How many suspects are newer than this one."""
        ((count,),) = self._run("SELECT count(*) FROM suspects WHERE number > ?", number)
        return int(count)

    def count(self) -> int:
        """How many labels are held back."""
        return self.count_after(0)


def read_suspects(path: Path) -> list[Suspect]:
    """
    Read the suspects of a trainer's database, oldest first, while the trainer writes to it.

    Raises:
        ConfigurationError: There is no such file.
        TryAgain: It cannot be read at the moment.
        RoomstreamError: It is damaged.
    """
    if not path.exists():
        raise ConfigurationError(
            f"There is no trainer's database {path}. Run this on the trainer's machine, and name the "
            "file with --database or TRAINER_DATABASE."
        )
    with (
        translated(path),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as sql,
    ):
        return Suspects(lambda query, *values: sql.execute(query, values).fetchall()).all()


def _suspect(row: tuple[Any, ...]) -> Suspect:
    (_, event_id, listing_id, text, label, origin, labelled_at, propensity, domain, annotator) = (
        row[:10]
    )
    topic, partition, offset, arrived_ms, said, confidence, _ = row[10:]
    return Suspect(
        Label(
            Record(topic, partition, offset, listing_id.encode(), None, (), arrived_ms),
            event_id,
            listing_id,
            text,
            label,
            origin,
            datetime.fromisoformat(labelled_at),
            propensity,
            domain,
            annotator,
        ),
        said,
        confidence,
    )
