"""A running deployment takes another learner."""

from pathlib import Path

import pytest

from tests.trainer.bench import Bench
from tests.trainer.labels import labelled
from trainer.learners.base import Examples


def answered(bench: Bench, numbers: range) -> float:
    """The share of listings that the learner gives their true label."""
    events = [labelled(number) for number in numbers]
    rows = [row for row in bench.live.encode([event.title for event in events]) if row is not None]
    learner = bench.learning.learner
    best = learner.logits(Examples.of(rows)).argmax(axis=1)
    said = [learner.classes[place] for place in best]
    right: int = sum(one == event.label for one, event in zip(said, events, strict=True))
    return right / len(events)


@pytest.mark.parametrize("name", ["ridge", "svm", "id5r", "igng"])
def test_another_learner_is_fitted_to_the_replay_buffer(tmp_path: Path, name: str) -> None:
    """It knows at once what the one before was taught, learns on, and resumes as it was."""
    bench = Bench(tmp_path)
    for first in range(0, 192, 64):
        bench.feed(*(labelled(number) for number in range(first, first + 64)), first=first)
    bench.restart(learner=name)

    assert bench.learning.learner.name == name
    assert answered(bench, range(1_000, 1_100)) > 0.7
    bench.feed(*(labelled(number) for number in range(192, 256)), first=192)
    taught = bench.learning.learner.state()
    bench.restart()
    assert taught == bench.learning.learner.state()
    bench.close()
