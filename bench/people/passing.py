"""One pass over a stream: answer, ask, learn."""

from collections.abc import Sequence

import msgspec
import numpy as np
from scipy.special import softmax
from sklearn.metrics import f1_score

from artefacts.classifier import Prediction
from artefacts.graphs import Floats
from bench.people.arms import RANDOM_PART, Arm
from bench.people.cities import City, Labelled
from bench.people.student import Student
from schemas.events import InputPosition
from trainer.opinions import Lesson, weight
from workers.exploration import shown
from workers.review import Review

WINDOW = 64
"""Listings that are answered before anything is learned of them: the labels of a mini-batch at most."""

LOOKS = 10
"""How often a learner is judged on its way."""


class Look(msgspec.Struct, frozen=True):
    """
    How good a learner was after some of the stream.

    Attributes:
        listings: How many had come.
        labels: How many of them a person had labelled.
        accuracy: On the test, in [0, 1].
        macro_f1: On the test: the mean of F1 over the classes of the test.
    """

    listings: int
    labels: int
    accuracy: float
    macro_f1: float


class Result(msgspec.Struct, frozen=True):
    """
    What came of an arm.

    Attributes:
        city: Of the stream.
        arm: Its name.
        seed: Of the stream, and of everything random.
        looks: The learner on its way, the last one at the end.
        labels: How many labels of each class a person gave.
        shown_right: The share of all answers that showed the right label.
        accepted: How many answers people accepted, and rejected.
        rejected: The same.
    """

    city: str
    arm: str
    seed: int
    looks: list[Look]
    labels: dict[str, int]
    shown_right: float
    accepted: int = 0
    rejected: int = 0


class Pass:
    """
    A learner on its way through a stream.

    Args:
        arm: How people teach it.
        city: Whose stream.
        learner: As TRAINER_LEARNER has it.
    """

    def __init__(self, arm: Arm, city: City, learner: str) -> None:
        self._arm = arm
        self._city = city
        classes = sorted({*city.stream.labels, *city.test.labels})
        self._student = Student(learner, classes, city.stream, city.seed)
        by_chance = arm.budget * (RANDOM_PART if arm.asks == "uncertain" else 1)
        left = 0.0 if arm.asks == "random" else (arm.budget - by_chance) / (1 - by_chance)
        self._review = Review(by_chance, left)
        self._accepted = self._rejected = self._right = 0

    def run(self) -> Result:
        """Go through the stream once."""
        stream, looks = self._city.stream, []
        for start in range(0, len(stream), WINDOW):
            end = min(start + WINDOW, len(stream))
            self._window(range(start, end))
            if end * LOOKS // len(stream) > start * LOOKS // len(stream):
                looks.append(self._look(end))
        return Result(
            self._city.name,
            self._arm.name,
            self._city.seed,
            looks,
            self._student.labels,
            self._right / len(stream),
            self._accepted,
            self._rejected,
        )

    def _window(self, places: range) -> None:
        """Answer some listings with what was learned so far, then learn what people say of them."""
        logits = self._student.logits(self._city.stream.examples.at(places))
        probabilities: Floats = softmax(logits, axis=1).astype(np.float32)
        asked = self._asked(places, probabilities)
        opinions = self._opinions(places, probabilities, asked)
        self._student.learn(asked)
        self._student.hear(opinions)

    def _asked(self, places: range, probabilities: Floats) -> dict[int, float]:
        """The listings that a person labels, each with its propensity."""
        chances = self._review.chances([], probabilities, 0.0)
        asked = {}
        for place, chance in zip(places, chances, strict=True):
            ask = self._review.ask(self._position(place), chance)
            if place < self._arm.begins:
                asked[place] = 1.0
            elif ask:
                asked[place] = ask.propensity
        return asked

    def _opinions(
        self, places: range, probabilities: Floats, asked: dict[int, float]
    ) -> dict[int, Lesson]:
        """What people say of answers that they see."""
        lessons: dict[int, Lesson] = {}
        for place, row in zip(places, probabilities.tolist(), strict=True):
            scores = dict(zip(self._student.classes, row, strict=True))
            best = max(scores, key=scores.__getitem__)
            prediction = Prediction(best, scores[best], scores, truncated=False)
            answer = shown(prediction, self._arm.epsilon, self._position(place))
            right = answer.label == self._city.stream.labels[place]
            self._right += right
            if self._arm.feedback and place not in asked:
                counts = weight(answer.propensity) if self._arm.weighs else 1.0
                lessons[place] = Lesson("", answer.label, right, counts)
                self._accepted += right
                self._rejected += not right
        return lessons

    def _look(self, listings: int) -> Look:
        test = self._city.test
        said = said_of(self._student, test)
        right = sum(map(str.__eq__, said, test.labels))
        f1 = f1_score(
            test.labels, said, labels=sorted(set(test.labels)), average="macro", zero_division=0.0
        )
        labels = sum(self._student.labels.values())
        return Look(listings, labels, right / len(test), float(f1))

    def _position(self, place: int) -> InputPosition:
        return InputPosition(topic=self._city.name, partition=self._city.seed, offset=place)


def said_of(student: Student, listings: Labelled) -> list[str]:
    """What a learner says of listings."""
    best: Sequence[int] = student.logits(listings.examples).argmax(axis=1).tolist()
    return [student.classes[place] for place in best]
