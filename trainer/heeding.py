"""
Learning from what people say of labels that were shown to them.

A contextual bandit: of the label that is shown it becomes known whether it is right, of the others
nothing. What is accepted is a label, but one that comes more often where the model is right already.
Where the chance is known with which a label was shown, what is accepted counts as 1 / chance labels: it
then stands, on average, for all listings (Horvitz & Thompson 1952), as long as every label has some
chance, such as with epsilon exploration. The weight is clipped (`trainer.opinions.MOST_WEIGHT`): few
opinions that count as many make a learner jump, and less variance is worth some bias (Ionides 2008,
"Truncated Importance Sampling"; Swaminathan & Joachims 2015, "Batch Learning from Logged Bandit Feedback
through Counterfactual Risk Minimization").

What is rejected counts as one: under exploration nearly all of it is labels that the model did not
believe either, and a weight of 1 / chance would make much of what says little.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from trainer.database import Database
from trainer.doubt import Belief
from trainer.doubts import Doubts
from trainer.intake import Opinion
from trainer.learners.base import TEACHING_BATCH, Example, Examples, Learner, refute
from trainer.metrics import TrainerMetrics
from trainer.opinions import Lesson, lesson
from trainer.replay import ReplayBuffer

Encode = Callable[[Sequence[str]], Sequence[Example | None]]


class Heard(NamedTuple):
    """An opinion that was taken in: accepted or rejected, which teaches, or passed_over."""

    outcome: str
    opinion: Opinion
    example: Example


class Heeding:
    """
    What becomes of opinions.

    They are learned alone: biased towards what the model says, they must not judge, and in the replay
    buffer they would take the places of labels, and teach baseline and encoder what the model says.
    Nor are they rehearsed: what agrees with the model would confirm it again and again. A learner that
    is fitted to the replay buffer learns the last of them once more.

    Args:
        database: Where they are kept.
        doubts: Know what the learner is sure of, and which labels are held back.
        replay: Loses the labels that a person rejects.
        is_held_out: Whether nothing of a listing may be learned.
        metrics: Where accepted labels are counted.
        gets_on: Is called again and again during what takes long.
    """

    def __init__(
        self,
        database: Database,
        doubts: Doubts,
        replay: ReplayBuffer,
        is_held_out: Callable[[str], bool],
        metrics: TrainerMetrics,
        gets_on: Callable[[], None],
    ) -> None:
        self._database = database
        self._doubts = doubts
        self._replay = replay
        self._is_held_out = is_held_out
        self._metrics = metrics
        self._gets_on = gets_on

    def hear(
        self, opinion: Opinion, example: Example, belief: Belief | None, classes: Sequence[str]
    ) -> Heard:
        """
        Take in an opinion, and decide whether it teaches.

        Nothing that is said of the hold-out does, nor of a class that the learner does not know, nor what
        was accepted but contradicts what the learner is sure of.

        Args:
            opinion: It was not heard before.
            example: Its listing as the learner sees it.
            belief: What the learner says of it.
            classes: Those that the learner knows.
        """
        doubted = opinion.accepted and self._doubts.contradict(opinion.label, belief)
        teaches = (
            opinion.label in classes and not doubted and not self._is_held_out(opinion.listing_id)
        )
        if not opinion.accepted:
            self._take_back(opinion)
        self._database.opinions.add(opinion, teaches)
        outcome = "accepted" if opinion.accepted else "rejected"
        return Heard(outcome if teaches else "passed_over", opinion, example)

    def heed(self, learner: Learner, heard: Sequence[Heard], expected: Mapping[str, int]) -> None:
        """
        Let a learner learn opinions.

        Args:
            learner: Knows their classes.
            heard: Those that teach.
            expected: How many labels of each class were learned.
        """
        if not heard:
            return
        examples = Examples.of(each.example for each in heard)
        learn(learner, examples, [lesson(each.opinion) for each in heard])
        _expect(learner, expected)
        for each in heard:
            if each.opinion.accepted:
                self._metrics.labels.labels(each.opinion.label, "feedback").inc()

    def heed_again(self, learner: Learner, encode: Encode, expected: Mapping[str, int]) -> None:
        """
        Let a learner that was fitted to the replay buffer learn the last opinions, too.

        Args:
            learner: Changed.
            encode: Makes the features that it learned from, of texts.
            expected: How many labels of each class were learned.
        """
        lessons = self._database.opinions.lessons()
        for each in lessons:
            learner.add_class(each.label)
        for start in range(0, len(lessons), TEACHING_BATCH):
            some = lessons[start : start + TEACHING_BATCH]
            rows = encode([each.text for each in some])
            seen = [(each, row) for each, row in zip(some, rows, strict=True) if row is not None]
            if seen:
                learn(learner, Examples.of(row for _, row in seen), [each for each, _ in seen])
            self._gets_on()
        if lessons:
            _expect(learner, expected)

    def _take_back(self, rejection: Opinion) -> None:
        """Hold back and keep no label that a person rejects."""
        listing, label = rejection.listing_id, rejection.label
        self._doubts.reject(listing, label)
        if self._database.kept.label_of(listing) == label:
            self._replay.remove(listing)
            self._database.kept.remove(listing)


def learn(learner: Learner, examples: Examples, lessons: Sequence[Lesson]) -> None:
    """
    Learn what was accepted as labels, and what was rejected as rejections.

    Args:
        learner: Knows their classes.
        examples: The listings as it sees them.
        lessons: One for each.
    """
    yes = [place for place, each in enumerate(lessons) if each.accepted]
    no = [place for place, each in enumerate(lessons) if not each.accepted]
    if yes:
        weights = np.array([lessons[place].weight for place in yes])
        learner.learn(examples.at(yes), [lessons[place].label for place in yes], weights)
    if no:
        refute(learner, examples.at(no), [lessons[place].label for place in no])


def _expect(learner: Learner, labels: Mapping[str, int]) -> None:
    """Let labels alone say how common classes are, as soon as there is one."""
    if labels:
        learner.expect(labels)
