"""Heads as graphs: the numbers of numpy, in ONNX Runtime."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from artefacts.graphs import Head
from trainer.heads import calibrated_head, linear_head, two_layer_head, untrained_head

Floats = NDArray[np.float32]


def run(head: bytes, features: Floats, tokens: int = 3) -> tuple[Floats, Floats]:
    ids = np.ones((len(features), tokens), np.int64)
    return Head(head)(features, ids, ids)


def drawn(chance: np.random.Generator, *shape: int) -> Floats:
    return chance.normal(size=shape).astype(np.float32)


@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 9), st.integers(0, 99))
def test_a_linear_head_is_a_product_and_a_softmax(
    dimensions: int, classes: int, rows: int, seed: int
) -> None:
    """Any widths and batch."""
    chance = np.random.default_rng(seed)
    weights, bias = drawn(chance, dimensions, classes), drawn(chance, classes)
    features = drawn(chance, rows, dimensions)
    expected = features @ weights + bias
    scores = np.exp(expected - expected.max(axis=1, keepdims=True))

    logits, probabilities = run(linear_head(weights, bias), features)

    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        probabilities, scores / scores.sum(axis=1, keepdims=True), rtol=1e-3, atol=1e-5
    )


def test_an_untrained_head_gives_every_class_the_same_score() -> None:
    """Whatever the features: every answer will ask for review."""
    logits, probabilities = run(untrained_head(8, 4), drawn(np.random.default_rng(0), 5, 8))

    assert not logits.any()
    np.testing.assert_allclose(probabilities, 0.25)


def test_a_two_layer_head_has_a_relu_between() -> None:
    """As DistilBertForSequenceClassification computes it."""
    chance = np.random.default_rng(1)
    hidden, hidden_bias = drawn(chance, 6, 5), drawn(chance, 5)
    weights, bias = drawn(chance, 5, 3), drawn(chance, 3)
    features = drawn(chance, 7, 6)

    logits, _ = run(two_layer_head(hidden, hidden_bias, weights, bias), features)

    expected = np.maximum(features @ hidden + hidden_bias, 0) @ weights + bias
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


@given(st.integers(1, 6), st.floats(0.05, 20), st.integers(0, 99))
def test_a_calibrated_head_corrects_and_cools(classes: int, temperature: float, seed: int) -> None:
    """Its logits are (logits + correction) / temperature, its scores their softmax."""
    chance = np.random.default_rng(seed)
    head = linear_head(drawn(chance, 5, classes), drawn(chance, classes))
    correction, features = drawn(chance, classes), drawn(chance, 4, 5)
    expected = (run(head, features)[0] + correction) / np.float32(temperature)
    scores = np.exp(expected - expected.max(axis=1, keepdims=True))

    logits, probabilities = run(calibrated_head(head, temperature, correction.tolist()), features)

    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        probabilities, scores / scores.sum(axis=1, keepdims=True), rtol=1e-3, atol=1e-5
    )


def test_a_head_that_needs_no_calibration_stays_as_it_is() -> None:
    """Its digest too."""
    head = untrained_head(4, 3)

    assert calibrated_head(head, 1.0, [0, 0, 0]) == head


def test_the_same_numbers_make_the_same_bytes() -> None:
    """A head is known by its digest, so a repeat must not be another one."""
    weights = drawn(np.random.default_rng(2), 4, 3)
    bias = np.zeros(3, np.float32)
    transposed = np.asfortranarray(weights)

    assert linear_head(weights, bias) == linear_head(transposed, bias)
