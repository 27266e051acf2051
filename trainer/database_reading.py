"""The trainer's database for whoever only looks: it is neither locked nor changed."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from artefacts.manifest import Manifest, decode_manifest
from schemas.errors import ConfigurationError
from trainer.database import VERSION
from trainer.database_file import translated


@dataclass(frozen=True)
class KeptListing:
    """A listing of the replay buffer or the hold-out."""

    text: str
    label: str
    held_out: bool
    domain: str


def kept_listings(path: Path) -> list[KeptListing]:
    """
    Read the hold-out and then the replay buffer, newest first, while a trainer may write.

    Raises:
        ConfigurationError: The file is of another version.
        TryAgain: The file cannot be read.
        RoomstreamError: It is damaged.
    """
    rows = _rows(
        path, "SELECT text, label, held_out, domain FROM items ORDER BY held_out DESC, seq DESC"
    )
    return [KeptListing(text, label, bool(held_out), of) for text, label, held_out, of in rows]


def recorded_candidate(path: Path, release: str) -> Manifest | None:
    """
    What the trainer recorded of a candidate, also of one that failed its gates.

    Raises:
        ConfigurationError: The file is of another version.
        TryAgain: The file cannot be read.
        RoomstreamError: It is damaged.
    """
    rows = _rows(path, "SELECT manifest FROM candidates WHERE release = ?", release)
    return decode_manifest(rows[0][0]) if rows else None


def refused_candidates(path: Path) -> list[Manifest]:
    """
    The candidates that failed their gates, oldest first.

    Raises:
        ConfigurationError: The file is of another version.
        TryAgain: The file cannot be read.
        RoomstreamError: It is damaged.
    """
    rows = _rows(path, "SELECT manifest FROM candidates WHERE outcome = 'refused' ORDER BY release")
    return [decode_manifest(row[0]) for row in rows]


def _rows(path: Path, query: str, *values: str) -> list[tuple[Any, ...]]:
    with translated(path), closing(sqlite3.connect(_address(path), uri=True)) as sql:
        (found,) = sql.execute("PRAGMA user_version").fetchone()
        if found != VERSION:
            raise ConfigurationError(
                f"{path} is a trainer's database of version {found}; this roomstream reads version "
                f"{VERSION}."
            )
        return sql.execute(query, values).fetchall()


def _address(path: Path) -> str:
    """
    The file as SQLite opens it to read.

    Where nobody writes there is no write-ahead log. SQLite would make one even to read, owned by whoever
    runs the command, and the trainer could not open it afterwards: `immutable` leaves the folder alone.
    """
    log = path.with_name(f"{path.name}-wal")
    return f"{path.absolute().as_uri()}?{'mode=ro' if log.exists() else 'immutable=1'}"
