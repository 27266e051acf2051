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


def test_how_its_mini_batches_were_cut_does_not_move_its_planes() -> None:
    """Every example is a step of its own; calibration alone is a step for each mini-batch."""
    features, labels = blobs(3, 200)
    one, many = LinearSvm(), LinearSvm()
    one.learn(seen(features), labels)
    taught(many, features, labels, np.ones(200))

    np.testing.assert_allclose(one._planes, many._planes)


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
