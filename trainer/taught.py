"""
What a learner was taught, kept so that it can be taken back, and what became of deleted labels.

The features of every learned label are kept (4 bytes a dimension: 1.5 KB for 384) until the encoder
changes or its listing is deleted. After a change of encoder the learner knows the replay buffer only.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from artefacts.graphs import Floats
from artefacts.manifest import LabelOffsets

Rows = Callable[..., list[tuple[Any, ...]]]
_DELETED = 'SELECT topic, partition, "offset" FROM deleted JOIN labels USING (seq)'
_IN_ORDER = "ORDER BY topic, partition, 3"


class Lessons(NamedTuple):
    """Labels that the learner was taught, by number: features float32 (labels, dim)."""

    seqs: list[int]
    labels: list[str]
    features: Floats


class Taught:
    """
    The tables `taught` and `deleted`; writes belong into a transaction of the database.

    Args:
        run: Executes a statement and returns its rows.
    """

    def __init__(self, run: Rows) -> None:
        self._run = run

    def add(self, seq: int, features: Floats) -> None:
        """Note that a label was learned with these features, float32 (dim,)."""
        self._run("INSERT INTO taught VALUES (?, ?)", seq, features.tobytes())

    def of(self, listing_id: str) -> Lessons:
        """What was taught of a listing, oldest first."""
        rows = self._run(
            "SELECT seq, label, features FROM labels JOIN taught USING (seq) "
            "WHERE listing_id = ? ORDER BY seq",
            listing_id,
        )
        features = [np.frombuffer(row[2], np.float32) for row in rows]
        return Lessons(
            [row[0] for row in rows],
            [row[1] for row in rows],
            np.stack(features) if rows else np.zeros((0, 0), np.float32),
        )

    def begin_again(self) -> None:
        """Note that the learner was fitted to the replay buffer, and knows nothing else."""
        self._run("DELETE FROM taught")
        self._run("INSERT INTO taught SELECT seq, features FROM items WHERE NOT held_out")
        self.relearned()

    def relearned(self) -> None:
        """Note that what the learner could not take back it learned anew, without what was deleted."""
        self._run("UPDATE deleted SET inside = 0")

    def delete(self, listing_id: str, inside: Sequence[int]) -> None:
        """
        Forget what was taught of a listing that is deleted, but for which labels these were.

        Args:
            listing_id: The listing; its labels still bear its name.
            inside: The labels that the learner could not take back.
        """
        learned = self._run(
            "SELECT seq FROM labels WHERE listing_id = ? AND NOT held_out", listing_id
        )
        for (seq,) in learned:
            self._run("INSERT INTO deleted VALUES (?, ?, NULL)", seq, seq in inside)
            self._run("DELETE FROM taught WHERE seq = ?", seq)

    def deleted_inside(self) -> list[LabelOffsets]:
        """The deleted labels that the learner still has something of."""
        return _places(self._run(f"{_DELETED} WHERE inside {_IN_ORDER}"))

    def deleted_since(self) -> list[LabelOffsets]:
        """The deleted labels that the next release is the first one without."""
        return _places(self._run(f"{_DELETED} WHERE NOT inside AND release IS NULL {_IN_ORDER}"))

    def gone(self) -> int:
        """How many deleted labels the learner has nothing of any more."""
        ((count,),) = self._run("SELECT count(*) FROM deleted WHERE NOT inside")
        return int(count)

    def gone_before(self) -> int:
        """How many of these are not in a release that was announced."""
        ((count,),) = self._run("SELECT count(*) FROM deleted WHERE release IS NOT NULL")
        return int(count)

    def announced_without(self, release: str) -> None:
        """Note the first release without what the learner has nothing of any more."""
        self._run(
            "UPDATE deleted SET release = ? WHERE NOT inside AND release IS NULL",
            release,
        )


def _places(rows: list[tuple[Any, ...]]) -> list[LabelOffsets]:
    return [
        LabelOffsets(topic, partition, [row[2] for row in group])
        for (topic, partition), group in groupby(rows, key=lambda row: row[:2])
    ]
