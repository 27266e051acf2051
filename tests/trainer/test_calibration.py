"""Temperature and prior correction: what they make of logits, and when they do nothing."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.calibration import Calibration, Seen, calibrate, prior_correction, stream_shares
from trainer.evaluation import Figures, Truth

CLASSES = ["a", "b", "c"]


def drawn(items: int, sharpness: float) -> tuple[Figures, Truth]:
    """Logits that are too sharp by a factor, and labels that follow the right probabilities."""
    chance = np.random.default_rng(0)
    logits = chance.normal(0, 2, (items, 3))
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = [CLASSES[chance.choice(3, p=row)] for row in scores]
    return sharpness * logits, Truth.of(labels)


@pytest.mark.parametrize("sharpness", [0.25, 1, 4])
def test_the_temperature_undoes_sharpness(sharpness: float) -> None:
    """A learner that is too sure, or that doubts too much, is served as sure as it is right."""
    logits, truth = drawn(2_000, sharpness)

    assert calibrate(CLASSES, logits, truth, {}).temperature == pytest.approx(sharpness, rel=0.1)


def test_few_listings_move_the_temperature_little() -> None:
    """Three right answers are no proof of certainty."""
    logits = 2 * np.eye(3)

    assert 0.5 < calibrate(CLASSES, logits, Truth.of(CLASSES), {}).temperature < 1


def test_without_a_holdout_nothing_is_changed() -> None:
    """The learner is served as it is."""
    calibration = calibrate(CLASSES, np.zeros((0, 3)), Truth.of([]), {})

    assert calibration.temperature == 1
    assert calibration.prior([0.5, 0.3, 0.2]) == [0.5, 0.3, 0.2]


def test_a_class_without_an_example_does_not_spoil_the_temperature() -> None:
    """Its listings cost the same at any temperature."""
    logits, truth = drawn(500, 1)
    unseen = np.column_stack([logits, np.full(500, -1e4)])
    labels = [*truth.labels[:-1], "unseen"]
    temperature = calibrate([*CLASSES, "unseen"], unseen, Truth.of(labels), {}).temperature

    assert temperature == pytest.approx(1, rel=0.2)


def test_labels_chosen_alike_need_no_correction() -> None:
    """With one propensity for all, or none, labels are as common as listings."""
    seen = [Seen("a", 30, 300.0, 3_000.0), Seen("b", 10, 100.0, 1_000.0)]

    assert stream_shares(seen) == pytest.approx({"a": 0.75, "b": 0.25})
    assert prior_correction(seen) == {}
    assert stream_shares([]) == prior_correction([]) == {}


def test_labels_asked_for_more_often_are_corrected() -> None:
    """Half of the labels are of class b because reviewers were shown all of it, of a one in ten."""
    seen = [Seen("a", 5_000, 50_000.0, 500_000.0), Seen("b", 5_000, 5_000.0, 5_000.0)]
    shares = stream_shares(seen)

    assert shares["a"] == pytest.approx(10 / 11, abs=0.01)
    assert prior_correction(seen)["a"] == pytest.approx(math.log(shares["a"] / 0.5))
    assert prior_correction(seen)["b"] < 0


def test_a_few_rare_labels_do_not_decide() -> None:
    """One label with a propensity of a thousandth is not half of the stream."""
    seen = [Seen("a", 1_000, 1_000.0, 1_000.0), Seen("b", 1, 1_000.0, 1_000_000.0)]

    assert stream_shares(seen)["b"] < 0.03


@given(st.integers(0, 99), st.floats(0.1, 9))
def test_what_is_served_keeps_its_prior(seed: int, temperature: float) -> None:
    """The prior is corrected by the same factors as the scores."""
    chance = np.random.default_rng(seed)
    correction, learned = chance.normal(size=3), chance.dirichlet(np.ones(3))
    calibration = Calibration(temperature, correction)
    expected = learned * np.exp(correction) / (learned * np.exp(correction)).sum()

    assert calibration.prior(learned.tolist()) == pytest.approx(expected.tolist())
    np.testing.assert_allclose(calibration.apply(np.zeros((1, 3)))[0] * temperature, correction)
