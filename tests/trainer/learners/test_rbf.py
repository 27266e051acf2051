"""The kernel discriminant: its bandwidth, and the moments behind it."""

import numpy as np
import pytest

from tests.trainer.learners.listings import (
    LABELS,
    assert_head_is_the_learner,
    blobs,
    probabilities,
    seen,
    taught,
)
from trainer.learners.rbf import FIRST, FourierLda


def test_its_cosines_stand_for_the_gaussian_kernel() -> None:
    """Their products are exp(-distance² / (2 bandwidth²)) within sampling error."""
    features, _ = blobs(1, 60)
    learner = FourierLda(waves=8_000)
    learner._widen(features.shape[1])
    squares = ((features[:, None] - features[None]) ** 2).sum(axis=2)
    cosines = learner._cosines(features)

    np.testing.assert_allclose(2 / 8_000 * cosines @ cosines.T, np.exp(-squares / 2), atol=0.06)


def test_its_bandwidth_is_a_multiple_of_the_median_distance_and_stays() -> None:
    """Of the first examples, however they were cut; the same for the rest of its life."""
    features, labels = blobs(2, 200)
    learner = FourierLda(waves=16, width=3)
    for row in range(FIRST):
        learner.learn(seen(features[row : row + 1]), labels[row : row + 1])
    first = features[:FIRST].astype(float)
    pairs = np.sqrt(((first[:, None] - first[None]) ** 2).sum(axis=2))
    expected = 3 * np.median(pairs[~np.eye(FIRST, dtype=bool)])

    assert learner._bandwidth == pytest.approx(expected)
    learner.learn(seen(100 * features), labels)
    assert learner._bandwidth == pytest.approx(expected)
    assert len(learner._features) == 0


@pytest.mark.parametrize("count", [30, 200])
def test_what_it_takes_back_it_never_learned(count: int) -> None:
    """Among the first examples the bandwidth follows too; later the moments alone change."""
    features, labels = blobs(3, count)
    gone = np.arange(5) if count < FIRST else np.arange(FIRST, count)[::7]
    left = np.setdiff1d(np.arange(count), gone)
    learner, expected = FourierLda(waves=64), FourierLda(waves=64)
    for each in (learner, expected):
        for label in LABELS:
            each.add_class(label)
    cut = FIRST if count > FIRST else count
    for rows in (np.arange(cut), np.arange(cut, count)):
        if len(rows):
            learner.learn(seen(features[rows]), [labels[row] for row in rows])
        kept = np.intersect1d(rows, left)
        if len(kept):
            expected.learn(seen(features[kept]), [labels[row] for row in kept])

    assert learner.forget(features[gone], [labels[row] for row in gone])
    np.testing.assert_allclose(
        probabilities(learner, features), probabilities(expected, features), atol=1e-5
    )


def test_it_separates_what_no_plane_does() -> None:
    """A ring and its middle; it resumes with its parameters, and the head is the learner."""
    chance = np.random.default_rng(4)
    rows = chance.normal(0, 0.1, (400, 2))
    rows[200:] += [(np.cos(angle), np.sin(angle)) for angle in np.linspace(0, 6.28, 200)]
    features, labels = rows.astype(np.float32), ["Private room"] * 200 + ["Hotel room"] * 200
    order = chance.permutation(400)
    learner = FourierLda(waves=100, width=1, seed=6)
    taught(learner, features[order], [labels[row] for row in order], np.ones(400))
    resumed = FourierLda.from_state(learner.state())
    best = [resumed.classes[place] for place in resumed.logits(seen(features)).argmax(axis=1)]

    assert np.mean(np.array(best) == labels) > 0.99
    assert resumed.head() == learner.head()
    assert_head_is_the_learner(learner, features)
    assert_head_is_the_learner(learner, 1e30 * features)
