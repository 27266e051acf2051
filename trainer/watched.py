"""What drift detection remembers: the detectors of each domain, and the last labels that they saw."""

from datetime import datetime
from typing import NamedTuple

from trainer.database_file import Rows


class Outcome(NamedTuple):
    """What was predicted for a label, of a listing of some domain."""

    domain: str
    label: str
    predicted: str
    labelled_at: datetime

    @property
    def wrong(self) -> bool:
        """Whether something else was predicted."""
        return self.label != self.predicted


class Watched:
    """
    The tables `watches` and `outcomes`; writes belong into a transaction of the database.

    Args:
        run: Executes a statement and returns its rows.
    """

    def __init__(self, run: Rows) -> None:
        self._run = run

    def detectors(self) -> list[tuple[str, bytes]]:
        """Each domain and its detectors, the one that was heard of last at the end."""
        return self._run("SELECT domain, detectors FROM watches ORDER BY heard")

    def keep(self, domain: str, detectors: bytes, most: int) -> None:
        """Keep the detectors of the domain that was heard of last, and so many of its last labels."""
        self._run(
            "INSERT OR REPLACE INTO watches SELECT ?, coalesce(max(heard), 0) + 1, ? FROM watches",
            domain,
            detectors,
        )
        self._run(
            "DELETE FROM outcomes WHERE domain = ? AND number <= (SELECT number FROM outcomes "
            "WHERE domain = ? ORDER BY number DESC LIMIT 1 OFFSET ?)",
            domain,
            domain,
            most,
        )

    def add(self, outcome: Outcome) -> None:
        """Keep what the detectors of a domain see."""
        domain, label, predicted, at = outcome
        self._run(
            "INSERT INTO outcomes VALUES (NULL, ?, ?, ?, ?)",
            domain,
            label,
            predicted,
            at.isoformat(),
        )

    def last(self, domain: str, most: int) -> list[Outcome]:
        """The last labels of a domain, oldest first."""
        rows = self._run(
            "SELECT domain, label, predicted, labelled_at FROM outcomes WHERE domain = ? "
            "ORDER BY number DESC LIMIT ?",
            domain,
            most,
        )
        return [
            Outcome(domain, label, predicted, datetime.fromisoformat(at))
            for domain, label, predicted, at in reversed(rows)
        ]

    def drop(self, domain: str) -> None:
        """Watch a domain no longer, or afresh."""
        self._run("DELETE FROM watches WHERE domain = ?", domain)
        self._run("DELETE FROM outcomes WHERE domain = ?", domain)
