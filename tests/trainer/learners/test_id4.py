"""ID4: it counts, and asks anew where something else tells more."""

import numpy as np

from trainer.learners.base import Examples
from trainer.learners.id3 import LEAF
from trainer.learners.id4 import Id4


def taught(learner: Id4, texts: list[list[int]], labels: list[str]) -> None:
    learner.learn(Examples(np.zeros((len(texts), 1), np.float32), texts), labels)


def test_another_question_throws_the_subtree_away() -> None:
    """Where another token tells more than the one that is asked, the node begins again below."""
    learner = Id4(tokens=4, cuts=0, evidence=5)
    learner._flags.meet([[0, 1, 2, 3]])
    # Token 0 tells the classes apart, and where it is not, token 1 does.
    taught(learner, [[0], [1], [2]] * 20, ["a", "b", "a"] * 20)
    first, below = learner._root.column, learner._used
    taught(learner, [[3], [0, 1]] * 200, ["b", "a"] * 200)

    assert (first, below) == (1, 3)
    assert learner._root.column == 0
    assert learner._root.off is not None
    assert learner._root.off.counts.totals.sum() < learner._root.counts.totals.sum()


def test_a_leaf_that_is_new_says_what_was_counted_above() -> None:
    """It has seen nothing itself, and is right at once."""
    learner = Id4(tokens=4, cuts=0, evidence=5)
    for _ in range(5):
        taught(learner, [[0], [1]] * 2, ["a", "b"] * 2)
    asked = Examples(np.zeros((2, 1), np.float32), [[0], [1]])
    shares = np.exp(learner.logits(asked))

    assert shares.max(axis=1).min() > 0.8
    assert [learner.classes[place] for place in shares.argmax(axis=1)] == ["a", "b"]


def test_the_tree_is_bounded() -> None:
    """It has no more nodes than it may, whatever comes."""
    chance = np.random.default_rng(0)
    learner = Id4(tokens=8, cuts=0, nodes=5, evidence=0.1)
    for _ in range(20):
        texts = [np.flatnonzero(chance.random(8) < 0.5).tolist() for _ in range(50)]
        taught(learner, texts, [str(sum(text) % 3) for text in texts])

    assert sum(1 for _ in learner._root.nodes()) == learner._used == 5
    assert any(node.column != LEAF for node in learner._root.nodes())
