"""Gaussian listings that tests of single learners share."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from artefacts.graphs import Head, padded
from trainer.learners.base import Examples, Features, Learner

DIMENSIONS = 8
LABELS = ("Entire home/apt", "Private room", "Hotel room")


def seen(features: Features) -> Examples:
    """Listings by their features: these learners look at nothing else."""
    return Examples(features, [[101, 102]] * len(features))


def blobs(seed: int, count: int, spread: float = 0.5) -> tuple[Features, list[str]]:
    """Classes of unlike share whose features overlap, of a length of about 1."""
    chance = np.random.default_rng(seed)
    drawn = chance.choice(len(LABELS), count, p=(0.6, 0.3, 0.1))
    rows = np.eye(DIMENSIONS)[drawn] + chance.normal(0, spread, (count, DIMENSIONS))
    return (rows / 1.5).astype(np.float32), [LABELS[index] for index in drawn]


def taught(
    learner: Learner, features: Features, labels: list[str], weights: NDArray[np.float64]
) -> None:
    """Mini-batches of 16."""
    for start in range(0, len(labels), 16):
        rows = slice(start, start + 16)
        learner.learn(seen(features[rows]), labels[rows], weights[rows])


def probabilities(learner: Learner, features: Features) -> NDArray[np.float64]:
    """What it says, the classes in the order of LABELS."""
    said: NDArray[np.float64] = softmax(learner.logits(seen(features)), axis=1)
    return said[:, [learner.classes.index(label) for label in LABELS]]


def miscalibration(learner: Learner, features: Features, labels: list[str]) -> float:
    """The expected calibration error of probabilities, over tenths (Naeini et al. 2015)."""
    said = probabilities(learner, features)
    sure = said.max(axis=1)
    right = np.array([LABELS[best] for best in said.argmax(axis=1)]) == labels
    tenth = np.floor(sure * 10)
    gaps = [abs(float(np.sum(right[tenth == t]) - np.sum(sure[tenth == t]))) for t in range(11)]
    return sum(gaps) / len(labels)


def assert_head_is_the_learner(learner: Learner, features: Features) -> None:
    """The exported head says the same of every listing."""
    examples = seen(features)
    _, found = Head(learner.head())(features, *padded(examples.tokens))
    expected = softmax(learner.logits(examples), axis=1)

    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_array_equal(found.argmax(axis=1), expected.argmax(axis=1))
