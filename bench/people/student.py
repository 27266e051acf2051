"""The trainer's learner, fed as the trainer feeds it, from memory."""

import random
from collections import Counter, deque
from collections.abc import Mapping, Sequence

import numpy as np

from bench.people.cities import Labelled
from trainer.calibration import Seen, prior_correction
from trainer.comparison import REPLAY_SIZE
from trainer.heeding import learn
from trainer.learners import LEARNERS
from trainer.learners.base import TEACHING_BATCH, Examples, Learner, Logits, teach
from trainer.opinions import KEPT, Lesson
from trainer.relearning import Fitted, why_anew
from trainer.replay import ReplayBuffer


class Student:
    """
    A learner with its replay buffer: it learns, rehearses and learns anew as in `trainer.learning`.

    What is left out: the hold-out, since others judge here; suspects, since every label is right; and
    releases, so that what it learned of a window answers the next one.

    Args:
        learner: As TRAINER_LEARNER has it.
        classes: All that there are.
        stream: What it may be taught of.
        seed: Of the draws from its replay buffer.
    """

    def __init__(self, learner: str, classes: Sequence[str], stream: Labelled, seed: int) -> None:
        self._kind = LEARNERS[learner]
        self._classes = classes
        self._stream = stream
        self._seed = seed
        self._learner = self._blank()
        self._replay = ReplayBuffer(REPLAY_SIZE)
        self._kept: set[int] = set()
        self._fitted = Fitted()
        self._labels: Counter[str] = Counter()
        self._seen: dict[str, Seen] = {}
        self._lessons: deque[tuple[int, Lesson]] = deque(maxlen=KEPT)

    @property
    def labels(self) -> dict[str, int]:
        """How many labels of each class it was taught."""
        return dict(self._labels)

    def logits(self, examples: Examples) -> Logits:
        """What is served: with classes as common as in the stream, by the propensities of labels."""
        correction = prior_correction(list(self._seen.values()))
        shift = np.array([correction.get(label, 0.0) for label in self._learner.classes])
        shifted: Logits = self._learner.logits(examples) + shift
        return shifted

    @property
    def classes(self) -> list[str]:
        """In the order of the logits."""
        return self._learner.classes

    def learn(self, propensities: Mapping[int, float]) -> None:
        """
        Learn a mini-batch of labels.

        Args:
            propensities: The places of their listings in the stream, and with which chance each was
                asked for.
        """
        places = list(propensities)
        if not places:
            return
        labels = [self._stream.labels[place] for place in places]
        for place, label in zip(places, labels, strict=True):
            self._offer(place, label)
            self._note(label, propensities[place])
        self._learner.learn(self._stream.examples.at(places), labels)
        self._rehearse(places)
        self._relearn_if_due()

    def hear(self, lessons: Mapping[int, Lesson]) -> None:
        """Learn a mini-batch of opinions, by the places of their listings in the stream."""
        if not lessons:
            return
        learn(self._learner, self._stream.examples.at(list(lessons)), list(lessons.values()))
        self._lessons.extend(lessons.items())
        if self._labels:
            self._learner.expect(self._labels)

    def _offer(self, place: int, label: str) -> None:
        choice = self._replay.offer(str(place), label, "", self._chance(place))
        if choice.evict is not None:
            self._kept.remove(int(choice.evict))
        if choice.keep:
            self._kept.add(place)

    def _rehearse(self, places: Sequence[int]) -> None:
        if self._learner.rehearsal:
            count = self._learner.rehearsal * len(places)
            drawn = [int(each) for each in self._replay.draw(count, self._chance(places[0]))]
            labels = [self._stream.labels[place] for place in drawn]
            self._learner.rehearse(self._stream.examples.at(drawn), labels)

    def _relearn_if_due(self) -> None:
        now = Fitted(self._replay.offered(), self._labels.total())
        if not why_anew(self._fitted, now, 0, REPLAY_SIZE, None):
            return
        kept = sorted(self._kept)
        examples = self._stream.examples.at(kept)
        labels = [self._stream.labels[place] for place in kept]
        if self._lessons:
            self._learner = self._blank()
            teach(self._learner, examples, labels)
            self._hear_again()
            self._learner.expect(self._labels)
        else:
            self._learner = self._learner.relearned(examples, labels)
        self._fitted = now

    def _hear_again(self) -> None:
        lessons = list(self._lessons)
        for start in range(0, len(lessons), TEACHING_BATCH):
            some = lessons[start : start + TEACHING_BATCH]
            examples = self._stream.examples.at([place for place, _ in some])
            learn(self._learner, examples, [each for _, each in some])

    def _note(self, label: str, propensity: float) -> None:
        """Count a label, and the listings that it stands for."""
        self._labels[label] += 1
        _, labels, listings, squares = self._seen.get(label, Seen(label, 0, 0.0, 0.0))
        weight = 1 / propensity
        self._seen[label] = Seen(label, labels + 1, listings + weight, squares + weight**2)

    def _blank(self) -> Learner:
        learner: Learner = self._kind()
        for label in self._classes:
            learner.add_class(label)
        return learner

    def _chance(self, place: int) -> random.Random:
        return random.Random(f"{self._seed} {place}")  # noqa: S311 - reproducible, no secret
