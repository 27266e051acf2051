"""How many labels the trainer has learned, by its database."""

import sqlite3
from contextlib import closing
from pathlib import Path

from roomstream.demo.learned import labels_learned
from trainer.database import Database


def test_a_database_in_the_making_holds_no_label(tmp_path: Path) -> None:
    """From no file over an empty one to one with tables there is always a number: 0."""
    path = tmp_path / "trainer.sqlite"
    absent = labels_learned(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        empty = labels_learned(path)
    with Database(path):
        made = labels_learned(path)

    assert (absent, empty, made) == (0, 0, 0)
