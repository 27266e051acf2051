"""Gaenari grows weak leaves anew."""

import numpy as np

from trainer.learners.base import Examples
from trainer.learners.gaenari import Gaenari

WORDS = np.arange(10, 30)


def titles(seed: int, count: int) -> list[list[int]]:
    chance = np.random.default_rng(seed)
    return [chance.choice(WORDS, 8, replace=False).tolist() for _ in range(count)]


def seen(texts: list[list[int]]) -> Examples:
    return Examples(np.zeros((len(texts), 1), np.float32), texts)


def right(learner: Gaenari, texts: list[list[int]], labels: list[str]) -> float:
    best = learner.logits(seen(texts)).argmax(axis=1)
    return float(np.mean([learner.classes[b] == a for b, a in zip(best, labels, strict=True)]))


def test_it_rebuilds_after_a_concept_change() -> None:
    """Another word decides from now on: it is wrong, and 600 labels later it is right again."""
    learner = Gaenari()
    before, after, asked = titles(1, 1_500), titles(2, 600), titles(3, 500)
    old, new = (["a" if word in text else "b" for text in asked] for word in (12, 13))
    for start in range(0, 1_500, 50):
        part = before[start : start + 50]
        learner.learn(seen(part), ["a" if 12 in text else "b" for text in part])
    knew, not_yet = right(learner, asked, old), right(learner, asked, new)
    for start in range(0, 600, 50):
        part = after[start : start + 50]
        learner.learn(seen(part), ["a" if 13 in text else "b" for text in part])

    assert knew == 1
    assert not_yet < 0.7
    assert right(learner, asked, new) == 1


def test_a_burst_of_one_class_is_no_change() -> None:
    """300 labels of a class that is new do not make it forget what the others are."""
    learner = Gaenari()
    texts, asked = titles(4, 1_000), titles(5, 500)
    for start in range(0, 1_000, 50):
        part = texts[start : start + 50]
        learner.learn(seen(part), ["a" if 12 in text else "b" for text in part])
    for start in range(0, 300, 50):
        part = [[*text, 99] for text in texts[start : start + 50]]
        learner.learn(seen(part), ["c"] * 50)

    assert right(learner, asked, ["a" if 12 in text else "b" for text in asked]) == 1


def test_a_leaf_that_is_right_is_left_alone() -> None:
    """What is nearly always so makes no tree, though a word tells the rest."""
    learner = Gaenari(weak=0.8)
    texts = titles(1, 1_000)
    learner.learn(seen(texts), ["b"] * 1_000)
    learner.learn(seen(texts), ["a" if 12 in text and 13 in text else "b" for text in texts])

    assert learner._root.off is None


def test_the_tree_is_bounded() -> None:
    """Where it has grown too large, it is grown anew as large as it may be."""
    learner = Gaenari(tokens=20, cuts=0, nodes=9, evidence=1, instances=300)
    texts = titles(1, 500)
    for start in range(0, 500, 50):
        part = texts[start : start + 50]
        learner.learn(seen(part), [str(sum(text) % 4) for text in part])

        assert len(learner._model().asked) <= 9
