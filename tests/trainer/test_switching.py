"""A running deployment takes another learner."""

from pathlib import Path
from typing import Any

import pytest

from tests.processes import eventually
from tests.trainer.bench import Bench
from tests.trainer.labels import labelled, learned_numbers
from tests.trainer.process import Deployment
from tests.workers.brokers import ON_EMBEDDED
from trainer.database_reading import refused_candidates
from trainer.learners.base import Examples

QUICK = {"release_interval_seconds": 0.2, "first_labels_per_class": 3}


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


@ON_EMBEDDED
def test_another_learner_goes_through_the_gates(deployment: Deployment) -> None:
    """One that is as good becomes the next release; one that is worse is refused, and nothing changes."""
    deployment.ready(**QUICK, learner="slda")
    held, taught = learned_numbers(150, held_out=True), learned_numbers(60)
    deployment.send(*(labelled(number) for number in (*held, *taught)))
    eventually(lambda: deployment.learned() == 60, "a release of the first learner")
    first = deployment.live_manifest()
    deployment.stop()
    deployment.ready(**QUICK, learner="ridge")
    eventually(lambda: deployment.live_manifest().learner == "ridge", "a release of the second one")
    second = deployment.live_manifest()
    deployment.stop()
    deployment.ready(**QUICK, learner="hoeffding")  # it waits for more labels before it splits
    eventually(lambda: bool(refused(deployment, "hoeffding")), "the third one is refused")
    last = refused(deployment, "hoeffding")[-1]

    assert first.learner == "slda"
    assert sum(second.lineage.labels_by_class.values()) == 60
    assert second.parent == first.release
    assert "the live release" in last["gates"]["accuracy"]
    assert deployment.live().release == second.release == last["live"]


def refused(deployment: Deployment, learner: str) -> list[dict[str, Any]]:
    """What is logged of refused candidates of a learner."""
    lines = deployment.logs("candidate refused: the live release stays")
    kept = refused_candidates(deployment.database)
    ours = {each.release for each in kept if each.learner == learner}
    return [line for line in lines if line["candidate"] in ours]
