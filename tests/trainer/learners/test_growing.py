"""What all learners of trees and rules promise, each by its class."""

import numpy as np
import pytest
from sklearn import datasets

from artefacts.graphs import Head, padded
from trainer.learners.base import Examples
from trainer.learners.counted import Counted
from trainer.learners.gaenari import Gaenari
from trainer.learners.hoeffding import HoeffdingTree
from trainer.learners.id4 import Id4
from trainer.learners.id5r import Id5r
from trainer.learners.rules import Rules

Batch = tuple[Examples, list[str]]

ACCURACIES = {
    # As measured in one pass, less some points: iris, wine, digits.
    Gaenari: (0.8, 0.85, 0.7),
    HoeffdingTree: (0.85, 0.75, 0.45),
    Id4: (0.8, 0.85, 0.5),
    Id5r: (0.8, 0.85, 0.75),
    Rules: (0.8, 0.85, 0.45),
}
KINDS = pytest.mark.parametrize("kind", ACCURACIES, ids=lambda kind: kind.name)


def listings(seed: int, count: int) -> Batch:
    """Three classes: two by a word each and a number, the third by nothing else."""
    chance = np.random.default_rng(seed)
    drawn = chance.integers(0, 3, count)
    rows = chance.normal(0, 0.3, (count, 12)).astype(np.float32)
    rows[drawn == 1, 4] += 1
    texts = [[101, *chance.integers(1_000, 1_040, 6), *([7] if k == 2 else []), 102] for k in drawn]
    return Examples(rows, [list(map(int, text)) for text in texts]), [f"class {k}" for k in drawn]


def taught(learner: Counted, batch: Batch, cut: int = 32) -> None:
    examples, labels = batch
    for start in range(0, len(labels), cut):
        learner.learn(examples[start : start + cut], labels[start : start + cut])


def accuracy(learner: Counted, batch: Batch) -> float:
    best = learner.logits(batch[0]).argmax(axis=1)
    return float(np.mean([learner.classes[b] == a for b, a in zip(best, batch[1], strict=True)]))


@KINDS
@pytest.mark.parametrize("count", [1, 60, 101, 1_500])
def test_the_head_is_the_learner(kind: type[Counted], count: int) -> None:
    """On 2,000 random rows: before cuts are set, just after, and late."""
    learner = kind()
    taught(learner, listings(1, count))
    asked, _ = listings(2, 2_000)
    logits, probabilities = Head(learner.head())(asked.features, *padded(asked.tokens))
    expected = learner.logits(asked)

    np.testing.assert_allclose(logits, expected, atol=1e-4)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), expected.argmax(axis=1))


@KINDS
@pytest.mark.parametrize("stop", [0, 32, 96, 128, 480])
def test_it_resumes_in_the_same_bytes(kind: type[Counted], stop: int) -> None:
    """Weights that are fractions included, before cuts are set and after."""
    examples, labels = listings(3, 640)
    weights = np.random.default_rng(3).random(640) + 0.1
    steady, stopped = kind(), kind()
    for start in range(0, 640, 32):
        if start == stop:
            stopped = type(stopped).from_state(stopped.state())
        for learner in (steady, stopped):
            end = start + 32
            learner.learn(examples[start:end], labels[start:end], weights[start:end])

    assert steady.state() == stopped.state()
    assert steady.head() == stopped.head()


@KINDS
def test_some_hundred_labels_are_enough(kind: type[Counted]) -> None:
    """It is well above a third."""
    learner = kind()
    taught(learner, listings(4, 600))

    assert accuracy(learner, listings(5, 1_000)) > 0.85


@KINDS
@pytest.mark.parametrize("place", range(3), ids=["iris", "wine", "digits"])
def test_it_learns_in_one_pass(kind: type[Counted], place: int) -> None:
    """70% of a data set that all know, shuffled; judged by the rest."""
    load = (datasets.load_iris, datasets.load_wine, datasets.load_digits)[place]
    rows, of = load(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(of))
    cut = int(0.7 * len(of))
    rows, of = rows[order], of[order]
    mean, deviation = rows[:cut].mean(axis=0), rows[:cut].std(axis=0)
    scaled = (rows - mean) / np.where(deviation > 0, deviation, 1) / np.sqrt(rows.shape[1])
    examples = Examples(scaled.astype(np.float32), [[101, 102]] * len(of))
    labels = [str(each) for each in of]
    learner = kind()
    taught(learner, (examples[:cut], labels[:cut]), 16)

    assert accuracy(learner, (examples[cut:], labels[cut:])) > ACCURACIES[kind][place]


@KINDS
def test_a_weight_of_two_is_two_labels(kind: type[Counted]) -> None:
    """What is said of a title that came once with weight 2 is what is said of one that came twice."""
    examples, _ = listings(6, 1)
    once, twice = kind(), kind()
    once.learn(examples, ["a"], np.array([2.0]))
    once.learn(examples, ["b"])
    for label in "aab":
        twice.learn(examples, [label])

    np.testing.assert_allclose(once.logits(examples), twice.logits(examples))


@KINDS
@pytest.mark.parametrize("value", [0.0, 1e30, -1e30])
def test_features_that_say_nothing_do_no_harm(kind: type[Counted], value: float) -> None:
    """Constant, or huge beside others: every score is a number, in numpy and in the head."""
    examples, labels = listings(7, 300)
    examples.features[:, 2:] = value
    examples.features[::7, 3] = -value
    learner = kind()
    taught(learner, (examples, labels))
    logits, _ = Head(learner.head())(examples.features, *padded(examples.tokens))

    assert np.isfinite(learner.logits(examples)).all()
    assert np.isfinite(logits).all()


@KINDS
def test_a_class_may_come_late(kind: type[Counted]) -> None:
    """After 600 labels of two classes, 300 of a third are enough for most of it."""
    examples, labels = listings(8, 1_000)
    others = [row for row, label in enumerate(labels) if label != "class 2"]
    late = [row for row, label in enumerate(labels) if label == "class 2"]
    learner = kind()
    for rows in (others, late):
        taught(learner, (examples.at(rows), [labels[row] for row in rows]))
    asked, truth = listings(9, 1_000)
    rows = [row for row, label in enumerate(truth) if label == "class 2"]

    assert accuracy(learner, (asked.at(rows), ["class 2"] * len(rows))) > 0.8


@KINDS
def test_it_relearns_with_the_same_bounds(kind: type[Counted]) -> None:
    """What was learned anew, and what resumes, has the vocabulary that it was made with."""
    learner = kind(tokens=5)  # type: ignore[call-arg] # all of these have it
    batch = listings(10, 50)
    taught(learner, batch)
    resumed = type(learner).from_state(learner.relearned(*batch).state())

    assert resumed._flags.tokens == 5  # type: ignore[attr-defined] # all of these have it
