"""Ridge regression against the closed form, with and without a projection."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainer.learners.listings import (
    LABELS,
    assert_head_is_the_learner,
    blobs,
    miscalibration,
    probabilities,
    seen,
    taught,
)
from trainer.learners.ridge import Ridge


@pytest.mark.parametrize("projection", [0, 40])
def test_it_is_least_squares_with_a_penalty(projection: int) -> None:
    """Of the indicators on features, or on the rectified lengths along directions; and an intercept."""
    features, labels = blobs(1, 300)
    learner = Ridge(projection, penalty=3)
    taught(learner, features, labels, np.ones(300))
    rows = features.astype(float)
    if projection:
        rows = np.maximum(rows @ learner._directions, 0)
    inputs = rows.shape[1]
    penalty = 3 * rows.var(axis=0).sum()
    centred = rows - rows.mean(axis=0)
    indicators = np.array([[label == each for each in learner.classes] for label in labels], float)
    gram = centred.T @ centred + penalty * np.eye(inputs)
    weights = np.linalg.solve(gram, centred.T @ indicators)
    expected = centred @ weights + indicators.mean(axis=0)

    found, temperature = learner._solve()
    np.testing.assert_allclose(learner._inputs(features) @ found, expected, atol=1e-4)
    assert 0 < temperature < 1


@given(st.integers(0, 99), st.sets(st.integers(0, 79), max_size=70))
def test_what_it_takes_back_it_never_learned(seed: int, gone: set[int]) -> None:
    """It is at once the regression of the others."""
    features, labels = blobs(seed, 80)
    learner, expected = Ridge(), Ridge()
    left = [row for row in range(80) if row not in gone]
    for each in (learner, expected):
        for label in LABELS:
            each.add_class(label)
    taught(learner, features, labels, np.ones(80))
    taught(expected, features[left], [labels[row] for row in left], np.ones(len(left)))
    places = sorted(gone)

    assert learner.forget(features[places], [labels[row] for row in places])
    np.testing.assert_allclose(
        probabilities(learner, features), probabilities(expected, features), atol=1e-6
    )


@pytest.mark.parametrize("count", [100, 4_000])
def test_its_temperature_calibrates(count: int) -> None:
    """From little as from much, without a label that is held back."""
    learner = Ridge()
    taught(learner, *blobs(2, count), np.ones(count))

    assert miscalibration(learner, *blobs(3, 4_000)) < 0.08


def test_a_projection_separates_what_no_plane_does() -> None:
    """A ring and its middle; the parameters are part of the state, and the head is the learner."""
    chance = np.random.default_rng(4)
    rows = chance.normal(0, 0.1, (400, 2))
    rows[200:] += [(np.cos(angle), np.sin(angle)) for angle in np.linspace(0, 6.28, 200)]
    features, labels = rows.astype(np.float32), ["Private room"] * 200 + ["Hotel room"] * 200
    flat, projected = Ridge(), Ridge(projection=60, seed=5)
    for learner in (flat, projected):
        learner.learn(seen(features), labels)
    truth = np.repeat([0, 1], 200)
    resumed = Ridge.from_state(projected.state())

    assert (flat.logits(seen(features)).argmax(axis=1) == truth).mean() < 0.8
    assert (resumed.logits(seen(features)).argmax(axis=1) == truth).mean() > 0.99
    assert resumed.head() == projected.head()
    assert_head_is_the_learner(projected, features)
