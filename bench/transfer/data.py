"""Real listings as lessons: hosts of the test are in no row that is learned."""

from collections.abc import Sequence
from pathlib import Path

from bench.learning.rows import Row as Listing
from bench.learning.rows import drawn, listings
from trainer.holdout import is_held_out
from trainer.transfer.lessons import VALIDATION_SHARE, Lessons, Row


def lessons(folder: Path, cities: Sequence[str], taught: int, tested: int, seed: int) -> Lessons:
    """
    Draw rows of some cities, as many of each.

    Args:
        folder: Where their files are.
        cities: Their names.
        taught: The most to learn from, in all; a tenth of them validates.
        tested: The most to judge by, in all: of fold 0.
        seed: Of the draws.

    Raises:
        ConfigurationError: A file is not there.
    """
    ours: list[Row] = []
    held_out: list[Row] = []
    for city in cities:
        found = listings(folder, city)
        ours += _drawn([row for row in found if not row.tested], taught // len(cities), seed)
        held_out += _drawn([row for row in found if row.tested], tested // len(cities), seed)
    validates = [is_held_out(f"validation {row.listing_id}", VALIDATION_SHARE) for row in ours]
    classes = sorted({row.label for row in [*ours, *held_out]})
    return Lessons(classes, ours, validates, held_out)


def _drawn(rows: Sequence[Listing], count: int, seed: int) -> list[Row]:
    return [Row(row.key, row.text, row.label, row.domain) for row in drawn(rows, count, seed)]
