"""Labelled texts to try learners on: from a file, or from what the trainer of this machine keeps."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from roomstream.listings import read_listings
from schemas.errors import ConfigurationError

LEAST_LABELS = 20


@dataclass(frozen=True, slots=True)
class LabelledText:
    """What a listing says, its label, and where it comes from: its source or language, or nothing."""

    text: str
    label: str
    domain: str


def labelled_of_file(path: Path) -> list[LabelledText]:
    """
    Read the rows of a CSV that have a label, in its order.

    Raises:
        ConfigurationError: It cannot be read, or has too little to compare learners on.
    """
    return _enough(
        f"Listings {path}",
        (
            LabelledText(each.text, each.label, each.domain)
            for each in read_listings(path, labels_needed=True)
            if each.label is not None
        ),
    )


def labelled_of_trainer(database: Path) -> list[LabelledText]:
    """
    Read the replay buffer, oldest first, while a trainer may write.

    Raises:
        ConfigurationError: There is no such database, it is of another version, or it keeps too little.
        TryAgain: It cannot be read.
        RoomstreamError: It is damaged.
    """
    from trainer.database_reading import kept_listings

    if not database.is_file():
        raise ConfigurationError(
            f"There is no trainer's database {database}. Name it with --database on the trainer's "
            "machine, or name a CSV of labelled listings instead."
        )
    newest_first = [each for each in kept_listings(database) if not each.held_out]
    return _enough(
        f"The replay buffer in {database}",
        (LabelledText(each.text, each.label, each.domain) for each in reversed(newest_first)),
    )


def _enough(whose: str, labelled: Iterable[LabelledText]) -> list[LabelledText]:
    found = list(labelled)
    classes = {each.label for each in found}
    if len(found) < LEAST_LABELS or len(classes) < 2:
        named = f": {', '.join(sorted(classes))}" if classes else ""
        raise ConfigurationError(
            f"{whose}: {len(found):,} labels of {len(classes)} classes{named}. Learners can be compared "
            f"on {LEAST_LABELS} labels of two classes or more; hundreds of each tell something."
        )
    return found
