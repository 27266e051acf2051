"""Whether many suspects are news or wrong: learned beside what is known."""

import numpy as np
import pytest

from trainer.learners.base import Examples
from trainer.trial import Lesson, trial

LABELS = ("Entire home/apt", "Private room", "Shared room")


def texts(seed: int, count: int, first_axis: int) -> Lesson:
    """Separable listings; the axis says which words they use, the label follows from it."""
    chance = np.random.default_rng(seed)
    kinds = chance.integers(0, 3, count)
    rows = chance.normal(0, 0.1, (count, 8)).astype(np.float32)
    rows[np.arange(count), first_axis + kinds] += 1
    return Lesson(Examples(rows, [[101, 102]] * count), [LABELS[kind] for kind in kinds])


def relabelled(lesson: Lesson, names: dict[str, str]) -> Lesson:
    return Lesson(lesson.examples, [names[label] for label in lesson.labels])


KNOWN, JUDGED = texts(1, 50, 0), texts(2, 200, 0)
SWAPPED = dict(zip(LABELS, (*LABELS[1:], LABELS[0]), strict=True))


def test_another_vocabulary_is_news() -> None:
    """Texts of other words with a rule of their own: learned, and the old ones stay right."""
    verdict = trial(texts(3, 100, 3), KNOWN, JUDGED)

    assert verdict.passed
    assert verdict.news > 0.95
    assert verdict.after > 0.95


@pytest.mark.parametrize("seed", range(5))
def test_random_labels_are_none(seed: int) -> None:
    """No rule, so that what was not learned is not predicted."""
    lesson = texts(4, 100, 0)
    chance = np.random.default_rng(seed)
    wrong = [
        chance.choice([name for name in LABELS if name != label]).item() for label in lesson.labels
    ]

    assert not trial(Lesson(lesson.examples, wrong), KNOWN, JUDGED).passed


@pytest.mark.parametrize("seed", range(5))
def test_swapped_labels_are_none(seed: int) -> None:
    """A rule that contradicts what is known of the same texts costs what was right."""
    verdict = trial(relabelled(texts(seed, 100, 0), SWAPPED), KNOWN, JUDGED)

    assert not verdict.passed


def test_without_a_holdout_the_suspects_decide() -> None:
    """Nothing is lost of nothing."""
    nothing = Lesson(Examples(np.zeros((0, 8), np.float32), []), [])
    verdict = trial(texts(5, 100, 3), KNOWN, nothing)

    assert (verdict.before, verdict.after) == (1, 1)
    assert verdict.passed
