"""
What a learner was taught, kept so that it can be taken back, and what became of deleted lessons.

The features of every learned label are kept (4 bytes a dimension: 1.5 KB for 384) until the encoder
changes or its listing is deleted. After a change of encoder the learner knows the replay buffer only.

A fine-tuned encoder cannot forget: it has something of every listing that it, or one that it was
fine-tuned from, has seen. Nothing but another base model is without them.
"""

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from artefacts.graphs import Floats
from artefacts.manifest import LabelOffsets
from trainer.database_file import Rows

_DELETED = (
    'SELECT topic, partition, "offset", seq, inside, number, release FROM deleted '
    "ORDER BY topic, partition, 3"
)


class Lessons(NamedTuple):
    """Labels that the learner was taught, by number: features float32 (labels, dim)."""

    seqs: list[int]
    labels: list[str]
    features: Floats


class Taught:
    """
    The tables `taught`, `tuned` and `deleted`; writes belong into a transaction of the database.

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

    def delete(self, listing_id: str, inside: Sequence[int], after: int) -> None:
        """
        Forget what was taught of a listing that is deleted, but for which labels and opinions these were.

        Args:
            listing_id: The listing; its labels and opinions still bear its name.
            inside: The labels that the learner could not take back. Opinions it never can.
            after: How many lessons there were before.
        """
        learned = self._run(
            "SELECT seq FROM labels WHERE listing_id = ? AND NOT held_out", listing_id
        )
        for (seq,) in learned:
            self._run(
                'INSERT INTO deleted SELECT NULL, topic, partition, "offset", seq, ?, ?, NULL '
                "FROM labels WHERE seq = ?",
                seq in inside,
                after,
                seq,
            )
            self._run("DELETE FROM taught WHERE seq = ?", seq)
        self._run(
            'INSERT INTO deleted SELECT NULL, topic, partition, "offset", NULL, 1, ?, NULL '
            "FROM opinions WHERE listing_id = ? AND learned",
            after,
            listing_id,
        )

    def untaken_since(self) -> int | None:
        """
        When something was deleted for the first time that the learner still has something of.

        Returns:
            How many lessons there were before; None where it has nothing.
        """
        ((lessons,),) = self._run("SELECT min(after) FROM deleted WHERE inside")
        return None if lessons is None else int(lessons)

    def tuned(self, encoding: str, origin: str, seqs: Sequence[int]) -> None:
        """
        Note that an encoder was fine-tuned.

        Args:
            encoding: What decides its features (`LiveRelease.encoding`).
            origin: The same of the encoder that it was fine-tuned from.
            seqs: The numbers of the labels that it has seen.
        """
        every = sorted({*seqs, *self._tuned_on(origin)})
        self._run("INSERT OR REPLACE INTO tuned VALUES (?, ?)", encoding, json.dumps(every))

    def deleted_inside(self, encoding: str, anew: bool = False) -> list[LabelOffsets]:
        """
        The deleted labels that a release has something of, by its learner or by its encoder.

        Args:
            encoding: Of the release.
            anew: Its learner was fitted to the replay buffer, and is not the one that goes on yet.
        """
        return _places(self._deleted(encoding, anew, inside=True))

    def deleted_since(self, encoding: str, anew: bool = False) -> list[LabelOffsets]:
        """The deleted labels that the next release, with this encoder, is the first one without."""
        return _places(self._pending(encoding, anew))

    def waiting(self, encoding: str) -> int:
        """How many deleted labels the next release, with this encoder, is the first one without."""
        return len(self._pending(encoding, anew=False))

    def announced_without(self, release: str, encoding: str, anew: bool = False) -> None:
        """Note the first release without what neither the learner nor its encoder has any more."""
        for row in self._pending(encoding, anew):
            self._run("UPDATE deleted SET release = ? WHERE number = ?", release, row[5])

    def _pending(self, encoding: str, anew: bool) -> list[tuple[Any, ...]]:
        """Those of which nothing is left, and that no announced release is known to be without."""
        return [row for row in self._deleted(encoding, anew, inside=False) if row[-1] is None]

    def _deleted(self, encoding: str, anew: bool, inside: bool) -> list[tuple[Any, ...]]:
        """Topic, partition, offset, label, flag, number and first release without it, of each lesson."""
        rows = self._run(_DELETED)
        seen = set(self._tuned_on(encoding)) if rows else set()
        return [row for row in rows if (row[3] in seen or bool(row[4] and not anew)) == inside]

    def _tuned_on(self, encoding: str) -> list[int]:
        rows = self._run("SELECT seqs FROM tuned WHERE encoding = ?", encoding)
        found: list[int] = json.loads(rows[0][0]) if rows else []
        return found


def _places(rows: Iterable[tuple[Any, ...]]) -> list[LabelOffsets]:
    return [
        LabelOffsets(topic, partition, [row[2] for row in group])
        for (topic, partition), group in groupby(rows, key=lambda row: row[:2])
    ]
