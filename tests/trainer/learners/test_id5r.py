"""Utgoff's theorem: the tree that was rearranged is the one that ID3 grows from what is kept."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.learners.base import Examples
from trainer.learners.id3 import LEAF, Node, Rows, induce
from trainer.learners.id5r import Id5r
from trainer.learners.instances import Instances

Shape = tuple[int, "Shape | None", "Shape | None"]
Listing = tuple[set[int], str, float]

TOKENS, BOUND = 6, 25
WEIGHTS = st.sampled_from([1.0, 0.25, 2.0, 0.3])
LISTING = st.tuples(st.sets(st.integers(0, TOKENS - 1)), st.sampled_from("abc"), WEIGHTS)
LISTINGS = st.lists(LISTING, min_size=1, max_size=60)


def id3(listings: Sequence[Listing], least: float) -> Shape | None:
    """The textbook, one question at a time; of equal flags the first, where G says the most."""
    if len({label for _, label, _ in listings}) < 2:
        return None
    found = [(told(listings, token), token) for token in range(TOKENS)]
    most = max(evidence for evidence, _ in found)
    if most < max(least, 1e-6):
        return None
    token = next(token for evidence, token in found if evidence == most)
    sides = [[each for each in listings if (token in each[0]) is on] for on in (False, True)]
    return token, id3(sides[0], least), id3(sides[1], least)


def told(listings: Sequence[Listing], token: int) -> float:
    sides = [[each for each in listings if (token in each[0]) is on] for on in (False, True)]
    if not all(sides):
        return 0.0
    return round(2 * (surprise(listings) - sum(map(surprise, sides))), 6)


def surprise(listings: Sequence[Listing]) -> float:
    """Entropy in nats, times the count."""
    counts: Counter[str] = Counter()
    for _, label, weight in listings:
        counts[label] += round(weight * 1024) / 1024  # type: ignore[assignment] # weights are fractions
    return -sum(count * math.log(count / counts.total()) for count in counts.values())


def shape(node: Node | None) -> Shape | None:
    if node is None or node.column == LEAF:
        return None
    return node.column, shape(node.off), shape(node.on)


def taught(learner: Id5r, listings: Sequence[Listing]) -> None:
    features = np.zeros((len(listings), 1), np.float32)
    texts = [sorted(tokens) for tokens, _, _ in listings]
    weights = np.array([weight for _, _, weight in listings])
    learner.learn(Examples(features, texts), [label for _, label, _ in listings], weights)


def beginner(least: float) -> Id5r:
    """One whose columns are the token ids, whatever comes first."""
    learner = Id5r(tokens=TOKENS, cuts=0, instances=BOUND, evidence=least)
    learner._flags.meet([range(TOKENS)])
    return learner


@given(LISTINGS, st.sampled_from([0.0, 2.0]), st.data())
@settings(max_examples=60)
def test_it_is_the_tree_of_id3(listings: list[Listing], least: float, data: st.DataObject) -> None:
    """After every mini-batch, however they are cut, and also when the oldest examples have left."""
    learner = beginner(least)
    cuts = sorted(data.draw(st.sets(st.integers(1, 60), max_size=8)))
    for start, end in zip([0, *cuts], [*cuts, 60], strict=True):
        if listings[start:end]:
            taught(learner, listings[start:end])
        kept = listings[:end][-BOUND:]

        assert shape(learner._root) == id3(kept, least)


@given(LISTINGS.filter(lambda listings: len(listings) <= BOUND), st.randoms())
@settings(max_examples=30)
def test_the_order_does_not_matter(listings: list[Listing], chance: "np.random.Generator") -> None:
    """While all examples are kept, any order makes the same tree, and the same scores."""
    mixed = sorted(listings, key=lambda _: chance.random())
    one, other = beginner(0.0), beginner(0.0)
    for learner in (one, other):
        for label in "abc":
            learner.add_class(label)
    for start in range(len(listings)):
        taught(one, listings[start:][:1])
    taught(other, mixed)
    asked = Examples(np.zeros((8, 1), np.float32), [[n % 2, 2 + n // 2 % 2, 4] for n in range(8)])

    assert shape(one._root) == shape(other._root)
    np.testing.assert_array_equal(one.logits(asked), other.logits(asked))


def test_what_is_kept_is_bounded_and_the_newest() -> None:
    """The state does not grow any more, and the first examples say nothing any more."""
    old: Listing = ({0}, "a", 1.0)
    new: Listing = ({0}, "b", 1.0)
    learner = beginner(0.0)
    taught(learner, [old] * 100)  # with these, it has its cuts
    taught(learner, [new] * BOUND)
    size = len(learner.state()["id5r"])
    taught(learner, [new] * BOUND)

    assert learner._root.counts.totals.tolist() == [0, BOUND]
    assert len(learner.state()["id5r"]) == size


def test_id3_of_the_learners_is_that_of_the_textbook() -> None:
    """What gaenari grows its leaves with, on 40 random listings."""
    chance = np.random.default_rng(1)
    listings: list[Listing] = [
        (set(np.flatnonzero(chance.random(TOKENS) < 0.4).tolist()), str(label), 1.0)
        for label in chance.choice(["a", "b", "c"], 40)
    ]
    learner = beginner(0.0)
    taught(learner, listings)
    kept: Instances = learner._instances
    rows: Rows = kept.rows()

    assert shape(induce(kept.kept, rows, 0.0)) == id3(listings[-BOUND:], 0.0)
