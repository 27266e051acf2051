"""How many labels the trainer has learned, by its database."""

import sqlite3
from contextlib import closing
from pathlib import Path


def labels_learned(database: Path) -> int:
    """The labels in the trainer's database; 0 while there is none, or none is ready yet."""
    if not database.exists():
        return 0
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)) as connection:
        # The trainer makes the file first and its tables a moment later.
        made = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'labels'").fetchone()
        if made is None:
            return 0
        count: int = connection.execute("SELECT count(*) FROM labels").fetchone()[0]
    return count
