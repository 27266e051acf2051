"""
How a learner does on a stream of labels: taught as the trainer teaches, it predicts before it learns.

The encoder stays as it is here, no label is held back or held out, and nothing is released: what is
compared is learners alone.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import fmean

import msgspec
import numpy as np

from artefacts.graphs import Floats, Head, padded
from trainer.detectors import Detectors
from trainer.learners.base import TEACHING_BATCH, Example, Examples, Learner
from trainer.prequential import WINDOW, Prediction, Prequential
from trainer.relearning import Fitted, why_anew
from trainer.replay import ReplayBuffer
from trainer.settings import TrainerSettings

REPLAY_SIZE: int = TrainerSettings.model_fields["replay_size"].default
PROBE = 1_000
"""So many predictions of the exported head are timed."""
MILLION = 1e6


@dataclass(frozen=True)
class Lessons:
    """Labelled texts in the order in which they came; `domains` are where they come from, or empty."""

    examples: Examples
    labels: Sequence[str]
    domains: Sequence[str]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: slice) -> "Lessons":
        return Lessons(self.examples[rows], self.labels[rows], self.domains[rows])

    def batches(self) -> "Iterator[Lessons]":
        """Cut into mini-batches as the trainer takes them at most."""
        return (self[at : at + TEACHING_BATCH] for at in range(0, len(self), TEACHING_BATCH))


class Figures(msgspec.Struct, frozen=True):
    """
    How well a learner predicted labels before it learned them, and what that took.

    Attributes:
        learner: Its name.
        labels: How many came.
        accuracy: Over all of them.
        macro_f1: The same, the mean over the classes.
        recall: By class.
        forgetting: The best recall of a class in a window of the stream minus its last, the mean over the
            classes that had 20 labels or more in one (Chaudhry et al. 2018, "Riemannian Walk").
        relearned: How often it learned anew from the replay buffer.
        label_microseconds: Of processor time to learn a label, rehearsal and learning anew included.
        prediction_microseconds: The same for a prediction by its exported head, in batches of 64.
        state_bytes: What the trainer keeps of it.
        head_bytes: What a release has of it.
        curve: After so many labels, the accuracy in the window.
    """

    learner: str
    labels: int
    accuracy: float
    macro_f1: float
    recall: dict[str, float]
    forgetting: float
    relearned: int
    label_microseconds: float
    prediction_microseconds: float
    state_bytes: int
    head_bytes: int
    curve: list[tuple[int, float]]


class Course:
    """
    Teaches a learner a stream.

    Args:
        learner: A new one.
        window: So many labels are the window that the curve and forgetting are about.
        replay_size: The most labels in the replay buffer.

    Attributes:
        learner: What has learned so far.
        labels: How many labels came.
    """

    def __init__(
        self, learner: Learner, window: int = WINDOW, replay_size: int = REPLAY_SIZE
    ) -> None:
        self.learner = learner
        self.labels = 0
        self._window = window
        self._replay_size = replay_size
        self._board = Prequential(window=window)
        self._curve: list[tuple[int, float]] = []
        self._replay = ReplayBuffer(replay_size)
        self._kept: dict[str, tuple[Example, str]] = {}
        self._detectors: dict[str, Detectors] = {}
        self._changed_at = 0
        self._fitted = Fitted()
        self._relearned = 0
        self._seconds = 0.0

    @property
    def accuracy(self) -> float:
        """Over all labels so far."""
        return self._board.since_start.accuracy() or 0.0

    def take(self, lessons: Lessons) -> None:
        """Predict a mini-batch, then learn it."""
        said = self._predict(lessons.examples)
        for label, guess, domain in zip(lessons.labels, said, lessons.domains, strict=True):
            self._board.add(Prediction(label, guess, domain))
            self._watch(domain, label, guess)
        self._board.mark()
        before, self.labels = self.labels, self.labels + len(lessons)
        self._keep(lessons, before)
        self._learn(lessons)
        every = self._window // 4
        if before // every < self.labels // every:
            self._curve.append((self.labels, self._board.window.accuracy() or 0.0))

    def figures(self, probe: Examples) -> Figures:
        """
        Say how it went so far.

        Args:
            probe: Predictions of these are timed, one at least.
        """
        board, head = self._board, self.learner.head()
        return Figures(
            learner=self.learner.name,
            labels=self.labels,
            accuracy=self.accuracy,
            macro_f1=board.since_start.macro_f1() or 0.0,
            recall=dict(sorted(board.since_start.recall().items())),
            forgetting=fmean([each.forgetting for each in board.classes.values()] or [0.0]),
            relearned=self._relearned,
            label_microseconds=MILLION * self._seconds / max(1, self.labels),
            prediction_microseconds=MILLION * _seconds_to_answer(head, probe) / len(probe),
            state_bytes=sum(map(len, self.learner.state().values())),
            head_bytes=len(head),
            curve=self._curve,
        )

    def _predict(self, examples: Examples) -> Sequence[str | None]:
        if not any(self.learner.prior()):
            return [None] * len(examples)
        classes = self.learner.classes
        return [classes[place] for place in self.learner.logits(examples).argmax(axis=1)]

    def _watch(self, domain: str, label: str, guess: str | None) -> None:
        """Note where the stream has changed; the domain is watched afresh from there on."""
        if guess is None:
            return
        detectors = self._detectors.setdefault(domain, Detectors())
        if detectors.add(guess != label):
            del self._detectors[domain]
            self._changed_at = self.labels

    def _keep(self, lessons: Lessons, first: int) -> None:
        features, tokens = lessons.examples.features, lessons.examples.tokens
        for place, (label, domain) in enumerate(zip(lessons.labels, lessons.domains, strict=True)):
            name = str(first + place)
            choice = self._replay.offer(name, label, domain, self._chance(first + place))
            if choice.evict is not None:
                del self._kept[choice.evict]
            if choice.keep:
                self._kept[name] = Example(features[place], tokens[place]), label

    def _learn(self, lessons: Lessons) -> None:
        with self._timed():
            self.learner.learn(lessons.examples, lessons.labels)
        if self.learner.rehearsal:
            count = self.learner.rehearsal * len(lessons)
            drawn = self._examples(self._replay.draw(count, self._chance(self.labels)))
            with self._timed():
                self.learner.rehearse(*drawn)
        now = Fitted(self._replay.offered(), self.labels)
        if why_anew(self._fitted, now, self._changed_at, self._replay_size, None):
            self._fitted = now
            self._relearned += 1
            kept = self._examples(list(self._kept))
            with self._timed():
                self.learner = self.learner.relearned(*kept)

    def _examples(self, names: Sequence[str]) -> tuple[Examples, list[str]]:
        rows = [self._kept[name] for name in names]
        return Examples.of(example for example, _ in rows), [label for _, label in rows]

    def _chance(self, number: int) -> random.Random:
        return random.Random(number)  # noqa: S311 - reproducible, no secret

    @contextmanager
    def _timed(self) -> Iterator[None]:
        started = time.process_time()
        yield
        self._seconds += time.process_time() - started


def answers(head: Head, examples: Examples) -> Floats:
    """What an exported head says, in batches of 64: probabilities, float32 (examples, classes)."""
    batches = [examples[at : at + TEACHING_BATCH] for at in range(0, len(examples), TEACHING_BATCH)]
    return np.concatenate([head(each.features, *padded(each.tokens))[1] for each in batches])


def joined(parts: Sequence[Examples]) -> Examples:
    """Put examples together, one at least."""
    tokens = [row for part in parts for row in part.tokens]
    return Examples(np.concatenate([part.features for part in parts]), tokens)


def window_of(labels: int) -> int:
    """The window for a stream of so many labels: a tenth of it, from 100 to what the trainer has."""
    return max(100, min(WINDOW, labels // 10))


def _seconds_to_answer(head: bytes, probe: Examples) -> float:
    loaded = Head(head)
    answers(loaded, probe[:TEACHING_BATCH])  # it is warm now
    started = time.process_time()
    answers(loaded, probe)
    return time.process_time() - started


def compared(
    learners: Sequence[type[Learner]], lessons: Lessons, told: Callable[[Course], None]
) -> Iterator[Figures]:
    """
    Teach learners the same stream, one after another.

    Args:
        learners: Which.
        lessons: The stream, one label at least.
        told: Is shown the course after every mini-batch.

    Yields:
        The figures of each, as soon as it is done.
    """
    for learner in learners:
        course = Course(learner(), window_of(len(lessons)))
        for batch in lessons.batches():
            course.take(batch)
            told(course)
        yield course.figures(lessons.examples[-PROBE:])
