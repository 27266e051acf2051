"""Which listings were deleted, and when: labels from before are never learned, whenever they are read."""

import hashlib
from datetime import datetime

from trainer.database_file import Rows


class Tombstones:
    """
    The table `tombstones`; writes belong into a transaction of the database.

    It holds a digest of a listing's id, not the id, and stays for ever: `labelled` is kept for ever too.

    Args:
        run: Executes a statement and returns its rows.
    """

    def __init__(self, run: Rows) -> None:
        self._run = run

    def put(self, listing_id: str, deleted_at: datetime) -> None:
        """Note that a listing was deleted; the last time counts."""
        self._run(
            "INSERT INTO tombstones VALUES (?, ?) ON CONFLICT DO UPDATE "
            "SET deleted_at = max(deleted_at, excluded.deleted_at)",
            _digest(listing_id),
            deleted_at.timestamp(),
        )

    def cover(self, listing_id: str, at: datetime) -> bool:
        """Whether a listing was deleted at this time or later."""
        rows = self._run(
            "SELECT 1 FROM tombstones WHERE listing = ? AND deleted_at >= ?",
            _digest(listing_id),
            at.timestamp(),
        )
        return bool(rows)


def _digest(listing_id: str) -> bytes:
    return hashlib.sha256(listing_id.encode()).digest()
