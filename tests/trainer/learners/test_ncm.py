"""Nearest class means: sums that can be weighted and taken back, and scores that are probabilities."""

import numpy as np
import pytest

from tests.trainer.learners.listings import LABELS, blobs, miscalibration, probabilities, taught
from trainer.learners.ncm import NearestMean


def test_its_scores_are_calibrated_however_wide_features_are() -> None:
    """Directions in which features hardly vary do not make it sure of itself."""
    features, labels = blobs(1, 2_000)
    fresh, truth = blobs(2, 4_000)
    learner = NearestMean()
    taught(learner, np.pad(features, ((0, 0), (0, 100))), labels, np.ones(2_000))

    assert miscalibration(learner, np.pad(fresh, ((0, 0), (0, 100))), truth) < 0.04


@pytest.mark.parametrize("weight", [0.25, 1.0, 4.0])
def test_examples_that_all_weigh_the_same_leave_the_means_where_they_are(weight: float) -> None:
    """A class of less than one label has a mean too."""
    features, _ = blobs(3, 3)
    learner, expected = NearestMean(), NearestMean()
    for each, weights in ((learner, np.full(3, weight)), (expected, np.ones(3))):
        taught(each, features, list(LABELS), weights)

    np.testing.assert_allclose(
        probabilities(learner, features), probabilities(expected, features), atol=1e-6
    )


def test_what_it_takes_back_it_never_learned() -> None:
    """All but a few, and one class whole."""
    features, labels = blobs(4, 300)
    left = [row for row in range(300) if row % 9 == 0 and labels[row] != "Hotel room"]
    gone = sorted(set(range(300)) - set(left))
    learner, expected = NearestMean(), NearestMean()
    for each in (learner, expected):
        for label in LABELS:
            each.add_class(label)
    taught(learner, features, labels, np.ones(300))
    taught(expected, features[left], [labels[row] for row in left], np.ones(len(left)))

    assert learner.forget(features[gone], [labels[row] for row in gone])
    np.testing.assert_allclose(
        probabilities(learner, features), probabilities(expected, features), atol=1e-9
    )
