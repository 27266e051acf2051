"""The trainer's database as a file: copies of it, and what they are."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import RoomstreamError, TryAgain

Rows = Callable[..., list[tuple[Any, ...]]]
"""Executes a statement with values for its marks, and returns its rows."""

EPOCH = "epoch"
"""The fact that says under which epoch a database was led last."""


@dataclass(frozen=True)
class Described:
    """What a database file is. `epoch`: the one it was led under last; 0 if none."""

    version: int
    epoch: int


def copy_database(path: Path, target: Path) -> None:
    """
    Write a consistent copy, compact and without traces of what was deleted, while others write.

    Raises:
        TryAgain: The disk is full.
        RoomstreamError: The file is damaged.
    """
    target.unlink(missing_ok=True)
    with translated(path), closing(sqlite3.connect(path)) as sql:
        sql.execute("VACUUM INTO ?", (str(target),))


def describe_database(path: Path) -> Described:
    """
    Say what a database file is, and leave it in one piece, without a write-ahead log beside it.

    Raises:
        TryAgain: The disk is full.
        RoomstreamError: It is damaged.
    """
    with translated(path), closing(sqlite3.connect(path)) as sql:
        (version,) = sql.execute("PRAGMA user_version").fetchone()
        found = (
            version and sql.execute("SELECT value FROM facts WHERE name = ?", (EPOCH,)).fetchone()
        )
        sql.execute("PRAGMA journal_mode = DELETE")
    return Described(version, int(found[0]) if found else 0)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors about a database into ours, in this one place."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise TryAgain(
            f"The trainer's database {path} cannot be used: {error}. Check the disk's free space and "
            "the file's permissions; nothing half-written is in it."
        ) from error
    except sqlite3.DatabaseError as error:
        raise RoomstreamError(
            f"The trainer's database {path} is damaged: {error}. Move it away: the trainer then begins "
            "with the newest snapshot of the store, and learns what came after it on 'labelled' again."
        ) from error
