"""What became of the labels that were sent, by the trainer's database."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple


class Taken(NamedTuple):
    """
    The labels that the trainer has taken in.

    Attributes:
        learned: Those that it learned, or judges by.
        doubted: Those that contradict what it is sure of: they wait for a second one, or a person.
    """

    learned: int
    doubted: int

    @property
    def all(self) -> int:
        """Both together."""
        return self.learned + self.doubted


def labels_taken(database: Path) -> Taken:
    """Count the labels in the trainer's database; none while there is none, or none is ready yet."""
    if not database.exists():
        return Taken(0, 0)
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)) as connection:
        # The trainer makes the file first and its tables a moment later.
        made = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'labels'").fetchone()
        if made is None:
            return Taken(0, 0)
        counts = connection.execute(
            "SELECT (SELECT count(*) FROM labels), (SELECT count(*) FROM suspects)"
        ).fetchone()
    return Taken(*counts)
