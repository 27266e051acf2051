"""Support vector machines: margins that become probabilities, and labels that are rejected."""

import numpy as np
import pytest

from tests.trainer.learners.listings import (
    LABELS,
    blobs,
    miscalibration,
    probabilities,
    seen,
    taught,
)
from trainer.learners.base import UNSEEN_LOGIT
from trainer.learners.platt import Platt
from trainer.learners.svm import LinearSvm


def fitted(count: int = 2_000) -> LinearSvm:
    learner = LinearSvm()
    taught(learner, *blobs(1, count), np.ones(count))
    return learner


def test_its_scores_are_calibrated() -> None:
    """What it is sure of to so many per cent is right as often, though margins overlap."""
    assert miscalibration(fitted(), *blobs(2, 4_000)) < 0.04


def test_rehearsal_moves_planes_and_neither_counts_nor_calibration() -> None:
    """Draws of the replay buffer are no new labels, and not as common as those."""
    learner = fitted(300)
    prior, calibration = learner.prior(), learner._platt.state()
    planes = learner._planes.copy()
    learner.rehearse(seen(blobs(3, 20)[0]), ["Hotel room"] * 20)

    assert (prior, calibration) == (learner.prior(), learner._platt.state())
    assert (planes != learner._planes).any()


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e30])
def test_neither_unit_nor_place_of_features_matters(unit: float) -> None:
    """As far as float32 tells such features apart."""
    features, labels = blobs(7, 400)
    plain, moved = LinearSvm(), LinearSvm()
    taught(plain, features, labels, np.ones(400))
    taught(moved, ((features + 3) * unit).astype(np.float32), labels, np.ones(400))
    fresh, _ = blobs(8, 200)

    np.testing.assert_allclose(
        probabilities(plain, fresh),
        probabilities(moved, ((fresh + 3) * unit).astype(np.float32)),
        atol=1e-3,
    )


def test_a_rejected_class_becomes_less_probable() -> None:
    """For any listing, whichever class it is; how common classes are stays."""
    features, _ = blobs(4, 30)
    learner = fitted(300)
    prior, counts = learner.prior(), learner._counts.copy()
    for row in range(30):
        listing, place = features[row : row + 1], row % len(LABELS)
        before = probabilities(learner, listing)[0, place]

        assert learner.reject(seen(listing), [LABELS[place]]) is True
        assert probabilities(learner, listing)[0, place] < before
    assert prior == learner.prior()
    np.testing.assert_array_equal(counts, learner._counts)
    assert learner.changes()


def test_a_class_that_comes_late_is_learned_at_once() -> None:
    """Its machine takes first steps, however many the others have taken."""
    features, labels = blobs(5, 2_000, 0.2)
    late = sorted(range(2_000), key=lambda row: labels[row] == "Hotel room")
    learner = LinearSvm()
    taught(learner, features[late], [labels[row] for row in late], np.ones(2_000))
    fresh, truth = blobs(6, 1_000, 0.2)
    best = [LABELS[place] for place in probabilities(learner, fresh).argmax(axis=1)]
    hotels = [said for said, label in zip(best, truth, strict=True) if label == "Hotel room"]

    assert hotels.count("Hotel room") > 0.9 * len(hotels)


def test_platt_finds_the_scale_and_the_biases() -> None:
    """Of margins whose log odds are known; a class that nobody has seen stays out of it."""
    chance = np.random.default_rng(0)
    margins = chance.normal(size=(20_000, 3))
    bias = np.array([0.5, -0.5, 0.0])
    scores = 2 * margins + bias + chance.gumbel(size=margins.shape)
    platt = Platt()
    for _ in range(4):
        platt.add_class()
    wide = np.pad(margins, ((0, 0), (0, 1)))
    places = scores.argmax(axis=1)
    for rows in np.split(np.arange(20_000), 400):
        platt.learn(wide[rows], places[rows], np.ones(50), np.array([True, True, True, False]))

    assert platt.scale == pytest.approx(2, abs=0.2)
    np.testing.assert_allclose(platt.bias - platt.bias[:3].mean(), [*bias, 0], atol=0.2)
    assert platt.logits(wide).min() > UNSEEN_LOGIT
