"""The Hoeffding tree is river's, and resumes without a pickle."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from river.tree import HoeffdingTreeClassifier

from trainer.learners.base import Examples, Features
from trainer.learners.hoeffding import HoeffdingTree


def blobs(seed: int, count: int) -> tuple[Features, list[str]]:
    """Three classes that two of five numbers tell apart."""
    chance = np.random.default_rng(seed)
    drawn = chance.integers(0, 3, count)
    rows = chance.normal(size=(count, 5)).astype(np.float32)
    rows[:, 1] += 2 * (drawn == 1)
    rows[:, 3] += 3 * (drawn == 2)
    return rows, [f"class {place}" for place in drawn]


def seen(rows: Features) -> Examples:
    return Examples(rows, [[101, 102]] * len(rows))


def questions(node: Any) -> list[tuple[int, float]]:
    """What is asked, from the root down."""
    if not hasattr(node, "threshold"):
        return []
    below, above = node.children
    return [(node.feature, node.threshold), *questions(below), *questions(above)]


def test_it_is_the_tree_that_river_grows() -> None:
    """The same questions of numbers, in the same order, after 1,500 labels."""
    rows, labels = blobs(1, 1_500)
    learner = HoeffdingTree(tokens=0, patience=50, delta=0.01, tie=0.2, depth=20)
    river = HoeffdingTreeClassifier(
        grace_period=50, leaf_prediction="mc", max_depth=20, delta=0.01, tau=0.2
    )
    places: dict[str, int] = {}
    for start in range(0, 1_500, 30):
        learner.learn(seen(rows[start : start + 30]), labels[start : start + 30])
    for row, label in zip(rows.astype(float), labels, strict=True):
        river.learn_one(dict(enumerate(row.tolist())), places.setdefault(label, len(places)))
    found, expected = questions(learner._river._root), questions(river._root)  # type: ignore[union-attr] # it has learned

    assert len(expected) > 5
    assert [feature for feature, _ in found] == [feature for feature, _ in expected]
    np.testing.assert_allclose([t for _, t in found], [t for _, t in expected], rtol=1e-6)


@given(st.integers(0, 20), st.integers(1, 20))
@settings(max_examples=10)
def test_it_goes_on_from_its_state(seed: int, stop: int) -> None:
    """Stopped anywhere and resumed it ends in the same bytes, splits after that included."""
    rows, labels = blobs(seed, 400)
    steady = stopped = HoeffdingTree(patience=10)
    for start in range(0, 400, 20):
        if start == 20 * stop:
            stopped = HoeffdingTree.from_state(steady.state())
        for learner in {id(each): each for each in (steady, stopped)}.values():
            learner.learn(seen(rows[start : start + 20]), labels[start : start + 20])

    assert steady.state() == stopped.state()
    assert steady.head() == stopped.head()


def test_leaves_that_may_split_are_bounded() -> None:
    """The others stay, and say how common classes are, without what costs memory."""
    rows, labels = blobs(3, 3_000)
    learner = HoeffdingTree(active=4, patience=20, tie=0.9)
    for start in range(0, 3_000, 50):
        learner.learn(seen(rows[start : start + 50]), labels[start : start + 50])
    leaves = list(learner._river._root.iter_leaves())  # type: ignore[union-attr] # it has learned

    assert len(leaves) > 8
    assert sum(leaf.is_active() for leaf in leaves) <= 4


def test_words_are_asked_as_they_are() -> None:
    """A rare word that tells all is found among numbers that tell nothing."""
    chance = np.random.default_rng(4)
    rows = chance.normal(size=(1_000, 5)).astype(np.float32)
    has = chance.random(1_000) < 0.1
    learner = HoeffdingTree()
    for start in range(0, 1_000, 50):
        part = has[start : start + 50].tolist()
        texts = [[101, 7, 102] if each else [101, 102] for each in part]
        learner.learn(Examples(rows[start : start + 50], texts), [str(each) for each in part])
    best = learner.logits(Examples(rows[:2], [[101, 7, 102], [101, 102]])).argmax(axis=1)

    assert [learner.classes[place] for place in best] == ["True", "False"]
