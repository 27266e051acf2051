"""What people said of labels that were shown to them: no labels, so that nothing is judged by it."""

from typing import NamedTuple

from trainer.database_file import Rows
from trainer.intake import Opinion

KEPT = 2_000
"""The texts of so many of the newest are kept, to be learned anew; encoding them takes seconds."""

MOST_WEIGHT = 3.0
"""
An accepted label counts as so many at most, however seldom it is shown.

Measured by `bench.people` (100 labels, then feedback on 9,900 listings, mixture, two seeds),
accuracy with a bound of 1, 3, 10 and 40: New York .817, .816, .810, .804 with an epsilon of .05 and
.817, .815, .812, .805 with .1; Madrid .902, .901, .899, .895 and .903, .905, .902, .896.
"""


class Lesson(NamedTuple):
    """
    An opinion that teaches.

    Attributes:
        text: Of the listing.
        label: What was shown.
        accepted: Whether it is right.
        weight: How many labels it counts as where it is accepted.
    """

    text: str
    label: str
    accepted: bool
    weight: float


class Opinions:
    """
    The table `opinions`; writes belong into a transaction of the database.

    Args:
        run: Executes a statement and returns its rows.
    """

    def __init__(self, run: Rows) -> None:
        self._run = run

    def add(self, opinion: Opinion, learned: bool) -> None:
        """Note an opinion; its text is kept if it was learned, until newer ones take its place."""
        record = opinion.record
        self._run(
            "INSERT INTO opinions VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            opinion.event_id,
            opinion.listing_id,
            opinion.label,
            opinion.accepted,
            opinion.propensity,
            record.topic,
            record.partition,
            record.offset,
            learned,
            opinion.text if learned else None,
        )
        self._run(
            "UPDATE opinions SET text = NULL WHERE text IS NOT NULL AND number <= (SELECT number "
            "FROM opinions WHERE text IS NOT NULL ORDER BY number DESC LIMIT 1 OFFSET ?)",
            KEPT,
        )

    def lessons(self) -> list[Lesson]:
        """Those whose texts are kept, oldest first."""
        rows = self._run(
            "SELECT text, label, accepted, propensity FROM opinions WHERE text IS NOT NULL "
            "ORDER BY number"
        )
        return [_lesson(*row) for row in rows]

    def last_learned(self) -> int:
        """The number of the last one that was learned; 0 if there is none."""
        ((last,),) = self._run("SELECT max(number) FROM opinions WHERE learned")
        return int(last or 0)

    def forget(self, listing_id: str) -> None:
        """Remove what is known of a listing; that there was an opinion stays, without its name."""
        self._run(
            "UPDATE opinions SET listing_id = NULL, text = NULL WHERE listing_id = ?", listing_id
        )


def lesson(opinion: Opinion) -> Lesson:
    """What an opinion teaches."""
    return _lesson(opinion.text, opinion.label, opinion.accepted, opinion.propensity)


def weight(propensity: float | None) -> float:
    """How many labels an accepted one counts as that was shown with this chance."""
    return 1.0 if propensity is None else min(1 / propensity, MOST_WEIGHT)


def _lesson(text: str, label: str, accepted: bool, propensity: float | None) -> Lesson:
    return Lesson(text, label, bool(accepted), weight(propensity))
