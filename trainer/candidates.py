"""Releases that the trainer made, whatever became of them."""

from artefacts.manifest import Manifest
from trainer.database_file import Rows

_CANDIDATES_KEPT = 1_000


class Candidates:
    """
    The table `candidates`; writes belong into a transaction of the database.

    Args:
        run: Executes a statement and returns its rows.
    """

    def __init__(self, run: Rows) -> None:
        self._run = run

    def add(self, manifest: Manifest, outcome: str, last_seq: int) -> None:
        """Keep a candidate with its figures; of very many the newest stay, and the last announced."""
        self._run(
            "INSERT INTO candidates VALUES (?, ?, ?, ?, ?)",
            manifest.release,
            manifest.created_at.isoformat(),
            outcome,
            last_seq,
            manifest.encode(),
        )
        self._run(
            "DELETE FROM candidates WHERE release NOT IN "
            "(SELECT release FROM candidates ORDER BY release DESC LIMIT ?) AND release IS NOT "
            "(SELECT max(release) FROM candidates WHERE outcome = 'announced')",
            _CANDIDATES_KEPT,
        )

    def settle(self, release: str, outcome: str) -> None:
        """Note what became of a challenger."""
        self._run("UPDATE candidates SET outcome = ? WHERE release = ?", outcome, release)

    def made(self) -> set[str]:
        """The candidates that are kept: what is in the store of them is ours."""
        return {release for (release,) in self._run("SELECT release FROM candidates")}

    def last_seq_of(self, release: str) -> int:
        """The last label in a candidate; 0 for a release that is none."""
        rows = self._run("SELECT last_seq FROM candidates WHERE release = ?", release)
        return int(rows[0][0]) if rows else 0

    def last_seq_announced(self) -> int:
        """The last label in the newest release that was announced; 0 if there is none."""
        ((last,),) = self._run("SELECT max(last_seq) FROM candidates WHERE outcome = 'announced'")
        return int(last or 0)
