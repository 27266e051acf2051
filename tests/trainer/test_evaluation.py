"""Figures of a release, against scikit-learn, against formulas, and at the edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, recall_score
from sklearn.metrics import log_loss as sklearn_log_loss

from trainer.evaluation import (
    LEAST_PROBABILITY,
    Answers,
    Bootstrap,
    Truth,
    agree,
    calibration_error,
    interval,
    log_loss,
    macro_f1,
    mean,
    share_by,
)

CLASSES = ["Entire home/apt", "Hotel room", "Private room"]


@st.composite
def evaluated(draw: st.DrawFn) -> tuple[Truth, Answers]:
    """Answers to some listings, weighted at random."""
    chance = np.random.default_rng(draw(st.integers(0, 999)))
    items = draw(st.integers(1, 50))
    labels = [CLASSES[index] for index in chance.integers(0, 3, items)]
    truth = Truth(labels, chance.uniform(0.1, 3, items))
    return truth, Answers(CLASSES, chance.dirichlet(np.ones(3), items))


@given(evaluated())
def test_figures_are_those_of_scikit_learn(drawn: tuple[Truth, Answers]) -> None:
    """Accuracy, macro-F1 and log loss, with weights."""
    truth, answers = drawn
    labels, said, weights = list(truth.labels), answers.said, truth.weights
    named = sorted(set(labels))
    f1 = f1_score(
        labels, said, labels=named, average="macro", sample_weight=weights, zero_division=0
    )

    assert mean(answers.right(truth), truth) == pytest.approx(
        accuracy_score(labels, said, sample_weight=weights)
    )
    assert macro_f1(said, truth) == pytest.approx(f1)
    assert log_loss(answers, truth) == pytest.approx(
        sklearn_log_loss(labels, answers.probabilities, labels=CLASSES, sample_weight=weights)
    )


@given(evaluated())
def test_macro_f1_of_a_resample_is_that_of_its_listings(drawn: tuple[Truth, Answers]) -> None:
    """Classes that it has no listing of do not count."""
    truth, answers = drawn
    resamples = Bootstrap(truth)
    found = resamples.macro_f1(answers.said, truth)
    for row in (0, 1, 999):
        there = np.flatnonzero(resamples._weights[row])
        labels = [truth.labels[int(place)] for place in there]
        resample = Truth(labels, resamples._weights[row][there].astype(float))

        assert found[row] == pytest.approx(
            macro_f1([answers.said[place] for place in there], resample), rel=1e-4
        )


@given(evaluated())
def test_recall_is_that_of_scikit_learn(drawn: tuple[Truth, Answers]) -> None:
    """The share of right answers in each class."""
    truth, answers = drawn
    named = sorted(set(truth.labels))
    expected = recall_score(list(truth.labels), answers.said, labels=named, average=None)
    found = share_by(truth.labels, answers.right(truth))

    assert [found[label][0] for label in named] == pytest.approx(expected.tolist())
    assert [found[label][1] for label in named] == [truth.labels.count(label) for label in named]


@given(evaluated())
def test_the_calibration_error_is_the_mean_gap_of_the_bins(drawn: tuple[Truth, Answers]) -> None:
    """As written down by Guo et al., bin by bin."""
    truth, answers = drawn
    right, confidence = answers.right(truth), answers.confidence
    expected = 0.0
    for index in range(15):
        rows = (confidence > index / 15) & (confidence <= (index + 1) / 15)
        weight = truth.weights[rows].sum()
        if weight:
            gap = np.average(right[rows], weights=truth.weights[rows]) - np.average(
                confidence[rows], weights=truth.weights[rows]
            )
            expected += weight / truth.weights.sum() * abs(gap)

    assert calibration_error(confidence, right, truth) == pytest.approx(expected)


def test_a_class_that_a_release_does_not_know_has_no_chance() -> None:
    """Its listings cost log loss, but not infinitely much."""
    truth = Truth.of(["Igloo", "Hotel room"])
    answers = Answers(CLASSES, np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]))

    assert answers.of(truth).tolist() == [0, 1]
    assert log_loss(answers, truth) == pytest.approx(-np.log(LEAST_PROBABILITY) / 2)


def test_listings_are_weighted_to_the_stream() -> None:
    """A class that is rare in the stream counts by its share there, one nobody knows as the rarest."""
    truth = Truth.of(["a"] * 2 + ["b"] * 2 + ["new"], {"a": 0.9, "b": 0.1})

    assert truth.weights.mean() == pytest.approx(1)
    assert (truth.weights / truth.weights[2]).tolist() == pytest.approx([9, 9, 1, 1, 2])
    assert Truth.of(["a", "b"], {}).weights.tolist() == [1, 1]


def test_labels_that_end_in_nul_are_told_apart() -> None:
    """Numpy's strings would lose it."""
    assert share_by(["a", "a\0"], np.array([True, False])) == {"a": (1, 1), "a\0": (0, 1)}


@pytest.mark.parametrize("accuracy", [0.5, 0.8, 0.95])
def test_a_bootstrap_interval_is_as_wide_as_chance(accuracy: float) -> None:
    """That of a share is the share, plus and minus 1.96 standard errors, within a tenth of them."""
    items = 400
    right = np.arange(items) < accuracy * items
    low, high = interval(Bootstrap(Truth.of(["a"] * items)).means(right))
    error = (accuracy * (1 - accuracy) / items) ** 0.5

    assert low == pytest.approx(accuracy - 1.96 * error, abs=0.2 * error)
    assert high == pytest.approx(accuracy + 1.96 * error, abs=0.2 * error)


def test_a_bootstrap_is_paired_and_repeats() -> None:
    """Two answers that are right on the same listings never differ; a second look sees the same."""
    truth = Truth.of(["a"] * 50)
    right = np.arange(50) < 30
    resamples = Bootstrap(truth)

    assert not resamples.means(right.astype(float) - right).any()
    assert (resamples.means(right) == Bootstrap(truth).means(right)).all()


def test_calibration_errors_of_resamples_are_around_the_error() -> None:
    """They are the same figure on other listings."""
    chance = np.random.default_rng(0)
    truth, confidence = Truth.of(["a"] * 600), chance.uniform(0.5, 1, 600)
    right = chance.uniform(size=600) < confidence - 0.2
    error = calibration_error(confidence, right, truth)

    assert Bootstrap(truth).calibration_errors(confidence, right).mean() == pytest.approx(
        error, abs=0.02
    )
    assert error == pytest.approx(0.2, abs=0.05)


def test_nothing_is_agreed_on_of_nothing() -> None:
    """An empty hold-out is no reason to stop."""
    truth = Truth.of([])

    assert (mean(agree([], []), truth), macro_f1([], truth)) == (0, 0)
    assert share_by([], agree([], [])) == {}
