"""What every learner promises, tried on each of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artefacts.graphs import Head
from trainer.learners import LEARNERS
from trainer.learners.base import Features, Learner

DIMENSIONS = 16
LABELS = ("Entire home/apt", "Private room", "Shared room", "Hotel room")
Batch = tuple[Features, list[str]]

pytestmark = pytest.mark.parametrize("name", LEARNERS)


def stream(seed: int, count: int, share: tuple[float, ...] = (0.25,) * 4) -> Batch:
    """Separable listings, of length 1 as the encoder's features are."""
    chance = np.random.default_rng(seed)
    drawn = chance.choice(4, count, p=share)
    rows = chance.normal(0, 0.15, (count, DIMENSIONS))
    rows[np.arange(count), drawn] += 1
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), [LABELS[index] for index in drawn]


def learned(name: str, batch: Batch, cut: int = 16) -> Learner:
    learner = LEARNERS[name]()
    features, labels = batch
    for start in range(0, len(labels), cut):
        learner.learn(features[start : start + cut], labels[start : start + cut])
    return learner


def accuracy(learner: Learner, batch: Batch) -> float:
    best = learner.logits(batch[0]).argmax(axis=1)
    return float(
        np.mean([learner.classes[i] == label for i, label in zip(best, batch[1], strict=True)])
    )


def exported(learner: Learner, features: Features) -> tuple[Features, Features]:
    tokens = np.ones((len(features), 1), np.int64)
    return Head(learner.head())(features, tokens, tokens)


def assert_head_is_the_learner(learner: Learner, features: Features) -> None:
    expected = learner.logits(features)
    logits, probabilities = exported(learner, features)
    difference = np.abs(logits - expected) / np.maximum(1, np.abs(expected))

    assert difference.max() <= 1e-4
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_what_can_be_separated_is_learned(name: str) -> None:
    """Some hundred labels are enough for nearly all of separable listings."""
    assert accuracy(learned(name, stream(1, 200)), stream(2, 500)) > 0.97


def test_a_rare_class_is_not_swallowed(name: str) -> None:
    """One label in fifty is enough to be known again."""
    features, labels = stream(4, 500)
    learner = learned(name, stream(3, 500, (0.58, 0.2, 0.2, 0.02)))
    rare = [row for row, label in enumerate(labels) if label == "Hotel room"]

    assert accuracy(learner, (features[rare], ["Hotel room"] * len(rare))) > 0.8


def test_a_new_class_comes_in_the_middle(name: str) -> None:
    """A label never seen becomes a class, and the others are not forgotten."""
    features, labels = stream(5, 400)
    old = [row for row, label in enumerate(labels) if label != "Hotel room"]
    new = [row for row, label in enumerate(labels) if label == "Hotel room"]
    learner = learned(name, (features[old], [labels[row] for row in old]))
    before = set(learner.classes)
    learner.learn(features[new], [labels[row] for row in new])

    assert {"Hotel room"} == set(learner.classes) - before
    assert accuracy(learner, stream(6, 400)) > 0.95


def test_a_class_without_an_example_scores_nothing(name: str) -> None:
    """Its probability is 0 in the exported head, and every score is a number."""
    learner = LEARNERS[name]()
    for label in (*LABELS, "Igloo"):
        learner.add_class(label)
    features, labels = stream(7, 50)
    learner.learn(features, labels)
    logits, probabilities = exported(learner, features)

    assert np.isfinite(logits).all()
    assert probabilities[:, learner.classes.index("Igloo")].max() == 0.0


def test_classes_keep_their_place(name: str) -> None:
    """The order is that of their coming, and naming one again changes nothing."""
    learner = LEARNERS[name]()
    for label in ("b", "a", "b"):
        learner.add_class(label)
    learner.learn(np.eye(2, DIMENSIONS, dtype=np.float32), ["c", "a"])

    assert learner.classes == ["b", "a", "c"]
    assert learner.prior() == [0, 0.5, 0.5]


@given(st.integers(0, 99), st.permutations(range(60)), st.integers(1, 60))
def test_order_and_cuts_do_not_matter(name: str, seed: int, order: list[int], cut: int) -> None:
    """Listings shuffled and cut differently make the same answers."""
    features, labels = stream(seed, 60)
    one = learned(name, (features, labels))
    other = learned(name, (features[order], [labels[index] for index in order]), cut)
    places = [other.classes.index(label) for label in one.classes]

    np.testing.assert_allclose(
        other.logits(features)[:, places], one.logits(features), rtol=1e-8, atol=1e-8
    )


@given(st.integers(0, 99), st.integers(0, 60))
def test_it_resumes_from_its_state(name: str, seed: int, stop: int) -> None:
    """Stopped anywhere and resumed, it ends in the very same state."""
    features, labels = stream(seed, 60)
    steady, stopped = LEARNERS[name](), LEARNERS[name]()
    steady.learn(features[:stop], labels[:stop])
    stopped.learn(features[:stop], labels[:stop])
    resumed = type(stopped).from_state(stopped.state())
    for learner in (steady, resumed):
        learner.learn(features[stop:], labels[stop:])

    assert steady.state() == resumed.state()
    assert steady.head() == resumed.head()


def test_a_state_without_a_label_resumes(name: str) -> None:
    """A trainer that was stopped before its first label goes on."""
    learner = LEARNERS[name]()
    learner.add_class("Private room")
    resumed = type(learner).from_state(learner.state())
    resumed.learn(*stream(8, 10))

    assert resumed.classes[0] == "Private room"
    assert np.isfinite(resumed.logits(stream(8, 10)[0])).all()


def test_its_memory_is_bounded(name: str) -> None:
    """What it keeps does not grow with the labels."""
    few, many = learned(name, stream(9, 100)), learned(name, stream(9, 5_000), 500)

    assert len(many.state()) <= len(few.state()) + 64


def test_it_is_deterministic(name: str) -> None:
    """The same labels make the same bytes, state and head."""
    one, other = learned(name, stream(10, 100)), learned(name, stream(10, 100))

    assert (one.state(), one.head()) == (other.state(), other.head())


@pytest.mark.parametrize("share", [(0.25,) * 4, (0.97, 0.01, 0.01, 0.01)], ids=["even", "skewed"])
@pytest.mark.parametrize("count", [30, 3_000])
def test_the_exported_head_is_the_learner(name: str, count: int, share: tuple[float, ...]) -> None:
    """Its logits agree within 1e-4 on thousands of listings, seen and unseen."""
    learner = learned(name, stream(11, count, share))

    assert_head_is_the_learner(learner, stream(12, 5_000)[0])


def test_the_head_is_right_after_one_example(name: str) -> None:
    """The very first label makes a head that names its class, whatever the listing."""
    learner = LEARNERS[name]()
    features, _ = stream(13, 500)
    for label in LABELS:
        learner.add_class(label)
    learner.learn(features[:1], ["Shared room"])

    assert_head_is_the_learner(learner, features)
    assert {2} == set(exported(learner, features)[1].argmax(axis=1).tolist())


def test_the_head_is_right_on_features_that_hardly_vary(name: str) -> None:
    """Features that share a direction, as those of a transformer do, lose nothing in float32."""
    features, labels = stream(14, 2_000)
    narrow = features * 0.05 + np.full(DIMENSIONS, 0.25, np.float32)
    narrow /= np.linalg.norm(narrow, axis=1, keepdims=True)
    learner = learned(name, (narrow, labels))

    assert accuracy(learner, (narrow, labels)) > 0.95
    assert_head_is_the_learner(learner, narrow)
