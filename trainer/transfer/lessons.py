"""A labelled file as lessons: what is learned, what says when to stop, and what judges the candidate."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from artefacts.graphs import Floats
from artefacts.tokenisation import Tokenizer
from schemas.errors import ConfigurationError
from trainer.finetuning.job import Listings
from trainer.gate import LEAST_HELD_OUT
from trainer.holdout import is_held_out

VALIDATION_SHARE = 0.1
"""Of what is not held out."""


class Row(NamedTuple):
    """
    A labelled listing.

    Attributes:
        listing_id: Decides which part it belongs to: one listing is never in two.
        text: What is read.
        label: What it is.
        domain: Where it came from, or else its language; empty where neither is known.
    """

    listing_id: str
    text: str
    label: str
    domain: str = ""


@dataclass(frozen=True)
class Lessons:
    """
    The parts of a file. A running trainer holds out the same listings.

    Attributes:
        classes: The labels, in the order of the student's answers.
        taught: What is learned, and what validates.
        validates: Which of `taught` is not learned, but decides when to stop.
        held_out: What judges the candidate.
    """

    classes: list[str]
    taught: list[Row]
    validates: list[bool]
    held_out: list[Row]

    @classmethod
    def of(cls, rows: Sequence[Row], classes: Sequence[str], holdout_share: float) -> "Lessons":
        """
        Part the rows of a file.

        Args:
            rows: At least two classes of them.
            classes: Those that the student must be able to say; further ones of the rows are added.
            holdout_share: How many of all listings judge the candidate, in (0, 1).

        Raises:
            ConfigurationError: There are too few of them, or of their classes.
        """
        labels = list(dict.fromkeys(row.label for row in rows))
        if len(labels) < 2:
            only = f"every one is {labels[0]!r}" if labels else "there is none"
            raise ConfigurationError(
                f"The file has {len(rows):,} labelled listings, and {only}. Nothing can be learned of "
                "fewer than two classes: add listings of others."
            )
        held = [is_held_out(row.listing_id, holdout_share) for row in rows]
        taught = [row for row, out in zip(rows, held, strict=True) if not out]
        held_out = [row for row, out in zip(rows, held, strict=True) if out]
        validates = [
            is_held_out(f"validation {row.listing_id}", VALIDATION_SHARE) for row in taught
        ]
        lessons = cls(list(dict.fromkeys([*classes, *labels])), taught, validates, held_out)
        lessons._check(len(rows), holdout_share)
        return lessons

    @property
    def validating(self) -> list[Row]:
        """The taught listings that are not learned."""
        pairs = zip(self.taught, self.validates, strict=True)
        return [row for row, validates in pairs if validates]

    @property
    def learned(self) -> Counter[str]:
        """How many listings of each class are learned."""
        pairs = zip(self.taught, self.validates, strict=True)
        return Counter(row.label for row, validates in pairs if not validates)

    def tokenised(self, tokenizer: Tokenizer, stored: Floats | None = None) -> Listings:
        """
        The taught listings as the training loop takes them.

        Args:
            tokenizer: The student's.
            stored: The logits of a teacher, float32 (taught, classes), if there is one.
        """
        place = {label: number for number, label in enumerate(self.classes)}
        unknown = np.full((len(self.taught), len(self.classes)), np.nan, np.float32)
        return Listings(
            ids=[row.listing_id for row in self.taught],
            seqs=list(range(len(self.taught))),
            tokens=[text.ids for text in tokenizer.encode([row.text for row in self.taught])],
            labels=np.array([place[row.label] for row in self.taught], np.int64),
            stored=unknown if stored is None else stored,
            validation=np.array(self.validates, bool),
        )

    def _check(self, rows: int, holdout_share: float) -> None:
        least = round(LEAST_HELD_OUT / holdout_share)
        if len(self.held_out) < LEAST_HELD_OUT or not any(self.validates):
            raise ConfigurationError(
                f"The file has {rows:,} labelled listings, of which {len(self.held_out)} would judge the "
                f"candidate and {sum(self.validates)} decide when to stop: too few to trust. About "
                f"{2 * least:,} listings are needed; {LEAST_HELD_OUT} must be held out "
                f"(TRAINER_HOLDOUT_SHARE is {holdout_share:g})."
            )
        if len(self.learned) < 2:
            raise ConfigurationError(
                f"Of the {rows:,} labelled listings, those that are not held out are all "
                f"{next(iter(self.learned), 'held out')!r}. Add listings of other classes."
            )
