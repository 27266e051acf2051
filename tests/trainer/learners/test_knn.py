"""Nearest neighbours: what is kept, who votes, and what is taken back."""

import numpy as np

from tests.trainer.learners.listings import (
    DIMENSIONS,
    assert_head_is_the_learner,
    blobs,
    probabilities,
    seen,
    taught,
)
from trainer.learners.knn import LEAST_VOTE, NearestNeighbours


def test_it_keeps_rare_classes_and_knows_that_they_are_rare() -> None:
    """All of a rare class beside a sample of the others, which votes for those that were let go."""
    features, labels = blobs(1, 3_000)
    small, whole = NearestNeighbours(capacity=1_000), NearestNeighbours(capacity=3_000)
    for learner in (small, whole):
        taught(learner, features, labels, np.ones(3_000))
    hotel = small.classes.index("Hotel room")
    fresh, _ = blobs(2, 500)

    assert len(small._labels) == 1_000
    assert np.sum(small._labels == hotel) == labels.count("Hotel room")
    difference = probabilities(small, fresh) - probabilities(whole, fresh)
    assert np.abs(difference).mean() < 0.05
    assert abs(difference.mean(axis=0)).max() < 0.02


def test_votes_are_of_kernels() -> None:
    """Log odds are those of the sums of exp(-distance² / (2 bandwidth)), as long as all are kept."""
    features, labels = blobs(3, 60)
    learner = NearestNeighbours(bandwidth=0.3)
    learner.learn(seen(features), labels)
    fresh, _ = blobs(4, 20)
    squares = ((fresh[:, None] - features[None]) ** 2).sum(axis=2) / features.var(axis=0).sum()
    places = [learner.classes.index(label) for label in labels]
    votes = np.exp(-squares / 0.6) @ np.eye(3)[places]

    found = learner.logits(seen(fresh))
    shares = votes / votes.sum(axis=1, keepdims=True)
    expected = np.log(np.maximum(shares, LEAST_VOTE))
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_an_example_twice_is_one_of_weight_two() -> None:
    """As long as there is room."""
    features, labels = blobs(5, 40)
    twice, heavy = NearestNeighbours(), NearestNeighbours()
    twice.learn(seen(np.concatenate([features, features])), labels * 2)
    heavy.learn(seen(features), labels, np.full(40, 2.0))
    fresh, _ = blobs(6, 30)

    np.testing.assert_allclose(probabilities(twice, fresh), probabilities(heavy, fresh), atol=1e-5)


def test_samples_are_right_in_the_mean_whatever_the_weights() -> None:
    """What is kept of weighted examples stands for all their weight."""
    features, _ = blobs(7, 400)
    weights = np.random.default_rng(8).exponential(size=400)
    sums = []
    for seed in range(60):
        learner = NearestNeighbours(capacity=50, seed=seed)
        taught(learner, features, ["Private room"] * 400, weights)
        sums.append(np.maximum(learner._weights, learner._thresholds[0]).sum())

    error = np.std(sums) / np.sqrt(60)
    assert abs(np.mean(sums) - weights.sum()) < 4 * error


def test_it_takes_back_what_has_the_same_features() -> None:
    """One for one, of that class alone; with nothing left to vote, classes are as common as known."""
    rows = np.ones((3, DIMENSIONS), np.float32)
    learner = NearestNeighbours(capacity=2)
    learner.learn(seen(rows), ["Private room", "Private room", "Hotel room"])

    assert learner.forget(rows[:1], ["Hotel room"])
    assert learner._labels.tolist() == [0]
    assert learner.forget(rows[:1], ["Private room"])
    assert np.isfinite(learner.logits(seen(rows))).all()
    assert_head_is_the_learner(learner, rows)
