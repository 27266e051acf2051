"""One learner on one stream: taught in one pass, judged on the test after every phase."""

from collections.abc import Sequence

import msgspec

from artefacts.graphs import Head
from bench.learners.titles import Move, Titles
from bench.learning.scores import Scores, scores
from bench.learning.streams import Stream
from trainer.comparison import PROBE, Course, Figures, Lessons, answers, window_of
from trainer.learners import LEARNERS
from trainer.learners.base import Examples


class Result(msgspec.Struct, frozen=True):
    """
    What a learner made of a stream.

    Attributes:
        stream: Its name.
        learner: Its name.
        scores: On the test, by the exported head.
        figures: On the stream, before each label was learned.
        same: The share of the test to which the exported head says what the learner says.
    """

    stream: str
    learner: str
    scores: Scores
    figures: Figures
    same: float


class EncodedStream:
    """
    A stream that learners are taught, encoded.

    Args:
        stream: What arrives, and what is judged by.
        titles: Encodes it.
        move: Is told meanwhile.
    """

    def __init__(self, stream: Stream, titles: Titles, move: Move) -> None:
        self.stream = stream
        self._phases = [
            titles.lessons(phase.rows, f"{stream.name}: {phase.name}", move)
            for phase in stream.phases
        ]
        self._test: Lessons = titles.lessons(stream.test, f"{stream.name}: test", move)

    @property
    def labels(self) -> int:
        """How many labels arrive."""
        return sum(map(len, self._phases))

    def teach(self, learner: str, move: Move) -> Result:
        """Teach a learner everything."""
        course = Course(LEARNERS[learner](), window_of(self.labels))
        labels, said = [], []
        for phase in self._phases:
            for batch in phase.batches():
                course.take(batch)
                text = f"{self.stream.name}: {learner}, {course.accuracy:.1%} right so far"
                move(text, course.labels / self.labels)
            labels.append(course.labels)
            said.append(self._said(course))
        return Result(
            stream=self.stream.name,
            learner=learner,
            scores=scores(self.stream, labels, said),
            figures=course.figures(self._test.examples[:PROBE]),
            same=_same(course, self._test.examples, said[-1]),
        )

    def _said(self, course: Course) -> list[str]:
        """What a worker would say of the test by now."""
        classes = course.learner.classes
        probabilities = answers(Head(course.learner.head()), self._test.examples)
        return [classes[place] for place in probabilities.argmax(axis=1)]


def _same(course: Course, test: Examples, said: Sequence[str]) -> float:
    classes = course.learner.classes
    own = [classes[place] for place in course.learner.logits(test).argmax(axis=1)]
    alike: int = sum(one == other for one, other in zip(own, said, strict=True))
    return alike / len(said)
