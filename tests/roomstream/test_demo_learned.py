"""What became of the labels, by the trainer's database."""

import sqlite3
from contextlib import closing
from pathlib import Path

from roomstream.demo.learned import Taken, labels_taken
from trainer.database import Database


def test_a_database_in_the_making_holds_no_label(tmp_path: Path) -> None:
    """From no file over an empty one to one with tables there is always an answer: none."""
    path = tmp_path / "trainer.sqlite"
    absent = labels_taken(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        empty = labels_taken(path)
    with Database(path):
        made = labels_taken(path)

    assert {absent, empty, made} == {Taken(0, 0)}
