"""A file in three parts: one listing is in one of them, and too little of anything is said."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artefacts.tokenisation import Tokenizer
from schemas.errors import ConfigurationError
from tests.trainer.distilberts import tokenizer
from tests.trainer.transfer.problem import LABELS, rows
from trainer.holdout import is_held_out
from trainer.transfer.lessons import Lessons, Row


@given(st.integers(300, 600), st.sampled_from([0.1, 0.2, 0.5]))
def test_every_listing_is_in_one_part(count: int, share: float) -> None:
    """None is lost; what judges is what a running trainer holds out; a tenth of the rest validates."""
    listings = rows(count)
    lessons = Lessons.of(listings, LABELS, share)
    validates = sum(lessons.validates)

    assert sorted([*lessons.taught, *lessons.held_out]) == sorted(listings)
    assert all(is_held_out(row.listing_id, share) for row in lessons.held_out)
    assert not any(is_held_out(row.listing_id, share) for row in lessons.taught)
    assert 0 < validates < len(lessons.taught) / 4
    assert len(lessons.validating) == validates
    assert lessons.learned.total() == len(lessons.taught) - validates


def test_versions_of_a_listing_stay_together() -> None:
    """Another text or label of the same listing is in the same part."""
    listings = rows(300)
    again = [row._replace(text=f"{row.text} again") for row in listings]
    lessons = Lessons.of([*listings, *again], (), 0.1)
    held = {row.listing_id for row in lessons.held_out}

    assert held.isdisjoint(row.listing_id for row in lessons.taught)


def test_classes_of_the_live_release_come_first() -> None:
    """So that what it answers can be answered still; those of the file are added."""
    lessons = Lessons.of(rows(300), ["Hotel room", LABELS[1]], 0.1)

    assert lessons.classes == ["Hotel room", LABELS[1], LABELS[0], LABELS[2]]
    assert lessons.learned["Hotel room"] == 0


def test_the_training_loop_gets_tokens_labels_and_what_validates() -> None:
    """In the order of the taught rows, with the teacher's logits where there is a teacher."""
    lessons = Lessons.of(rows(300), LABELS, 0.1)
    cut = Tokenizer(tokenizer().to_str().encode(), 16)
    stored = np.ones((len(lessons.taught), 3), np.float32)
    alone, taught = lessons.tokenised(cut), lessons.tokenised(cut, stored)

    assert [LABELS[label] for label in alone.labels] == [row.label for row in lessons.taught]
    assert alone.validation.tolist() == lessons.validates
    assert alone.tokens[0] == cut.encode([lessons.taught[0].text])[0].ids
    assert np.isnan(alone.stored).all()
    assert taught.stored is stored


@pytest.mark.parametrize(
    ("listings", "says"),
    [
        ([], "there is none"),
        ([Row(f"l-{n}", "loft", "a") for n in range(300)], "every one is 'a'"),
        (rows(60), "About 400 listings are needed"),
        (
            [Row(f"l-{n}", "x", "a" if is_held_out(f"l-{n}", 0.1) else "b") for n in range(400)],
            "are all 'b'",
        ),
    ],
    ids=["none", "one class", "too few", "one class is held out"],
)
def test_too_little_is_said(listings: list[Row], says: str) -> None:
    """With what is missing."""
    with pytest.raises(ConfigurationError, match=says):
        Lessons.of(listings, ["a", "b"], 0.1)
