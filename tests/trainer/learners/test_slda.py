"""Streaming LDA against the closed form, whatever the order and the cuts of the stream."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from trainer.learners.base import Examples, Features
from trainer.learners.slda import PRIOR_OBSERVATIONS_PER_DIMENSION, SHRINKAGE, StreamingLda

DIMENSIONS = 5
LABELS = ("Entire home/apt", "Private room", "Hotel room")


def seen(features: Features) -> Examples:
    """Listings by their features: this learner looks at nothing else."""
    return Examples(features, [[]] * len(features))


def blobs(seed: int, count: int) -> tuple[Features, list[str]]:
    """Gaussian classes with one covariance that is far from a sphere."""
    chance = np.random.default_rng(seed)
    factor = np.triu(chance.normal(size=(DIMENSIONS, DIMENSIONS))) + np.eye(DIMENSIONS)
    means = chance.normal(0, 2, (len(LABELS), DIMENSIONS))
    drawn = chance.choice(len(LABELS), count, p=(0.7, 0.25, 0.05))
    rows = means[drawn] + chance.normal(size=(count, DIMENSIONS)) @ factor
    return rows.astype(np.float32), [LABELS[index] for index in drawn]


def batch_lda(features: Features, labels: list[str], at: Features) -> NDArray[np.float64]:
    """The textbook: class means, pooled covariance, regularised as the learner says; log prior."""
    rows, of = features.astype(np.float64), np.asarray(labels)
    names = list(dict.fromkeys(labels))
    means = np.stack([rows[of == name].mean(axis=0) for name in names])
    centred = rows - means[[names.index(label) for label in labels]]
    covariance = centred.T @ centred / len(rows)
    ridge = SHRINKAGE + PRIOR_OBSERVATIONS_PER_DIMENSION * DIMENSIONS / len(rows)
    variance = np.trace(covariance) / DIMENSIONS
    precision = np.linalg.inv((1 - SHRINKAGE) * covariance + ridge * variance * np.eye(DIMENSIONS))
    prior = np.log([np.mean(of == name) for name in names])
    quadratic = np.einsum("cd,de,ce->c", means, precision, means)
    scores = at @ precision @ means.T - quadratic / 2 + prior
    centred_scores: NDArray[np.float64] = scores - scores.mean(axis=1, keepdims=True)
    return centred_scores


@given(st.integers(0, 1_000), st.integers(4, 80), st.data())
def test_it_is_batch_lda_whatever_the_order_and_the_cuts(
    seed: int, count: int, data: st.DataObject
) -> None:
    """The logits are those of the closed form, up to a shift of all logits alike."""
    features, labels = blobs(seed, count)
    order = data.draw(st.permutations(range(count)))
    cuts = sorted(data.draw(st.sets(st.integers(1, count - 1))))
    learner = StreamingLda()
    for part in np.split(np.asarray(order), cuts):
        learner.learn(seen(features[part]), [labels[index] for index in part])
    places = [learner.classes.index(name) for name in dict.fromkeys(labels)]

    found = learner.logits(seen(features))[:, places]

    np.testing.assert_allclose(
        found - found.mean(axis=1, keepdims=True),
        batch_lda(features, labels, features),
        rtol=1e-6,
        atol=1e-6,
    )


def test_few_wide_features_give_a_covariance_of_full_rank() -> None:
    """With fewer labels than dimensions the prior keeps the answer a number, and sensible."""
    chance = np.random.default_rng(3)
    rows = chance.normal(0, 0.05, (4, 384)).astype(np.float32)
    rows[:2, 0] += 1
    rows[2:, 1] += 1
    learner = StreamingLda()
    learner.learn(seen(rows), ["Private room", "Private room", "Shared room", "Shared room"])

    assert learner.logits(seen(rows)).argmax(axis=1).tolist() == [0, 0, 1, 1]


def test_the_prior_follows_the_stream_and_not_the_replay_buffer() -> None:
    """After a refit on a balanced buffer the rare class is as rare as in the stream."""
    rows = np.eye(4, DIMENSIONS, dtype=np.float32)
    learner = StreamingLda()
    learner.learn(seen(rows), ["a", "a", "b", "b"])
    even = learner.logits(seen(rows[:1]))[0]
    learner.expect({"a": 30, "b": 10})
    skewed = learner.logits(seen(rows[:1]))[0]

    assert learner.prior() == [0.75, 0.25]
    np.testing.assert_allclose((skewed[0] - skewed[1]) - (even[0] - even[1]), np.log(3))


def test_its_state_keeps_the_symmetric_scatter_once() -> None:
    """A state of 384 dimensions and four classes stays near half a full matrix."""
    learner = StreamingLda()
    for label in ("a", "b", "c", "d"):
        learner.add_class(label)
    learner.logits(seen(np.zeros((1, 384), np.float32)))

    assert len(learner.state()["slda"]) < 8 * (384 * 385 / 2 + 4 * 384) + 200


def test_an_example_of_weight_two_is_one_that_came_twice() -> None:
    """Moments and priors are those of the longer stream."""
    features, labels = blobs(4, 60)
    weights = np.where(np.arange(60) % 3 == 0, 2.0, 1.0)
    rows = [row for row in range(60) for _ in range(int(weights[row]))]
    twice, heavy = StreamingLda(), StreamingLda()
    heavy.learn(seen(features), labels, weights)
    twice.learn(seen(features[rows]), [labels[row] for row in rows])

    assert twice.prior() == heavy.prior()
    np.testing.assert_allclose(
        twice.logits(seen(features)), heavy.logits(seen(features)), rtol=1e-6, atol=1e-9
    )


def test_a_rejected_label_changes_nothing() -> None:
    """It says that it cannot."""
    features, labels = blobs(5, 20)
    learner = StreamingLda()
    learner.learn(seen(features), labels)
    state = learner.state()

    assert learner.reject(seen(features), labels) is False
    assert state == learner.state()
