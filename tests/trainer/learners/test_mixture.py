"""The mixtures: a pool of its members, whose weights follow how well they predict."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from tests.trainer.learners.test_every_learner import LABELS, stream, teach
from trainer.learners.base import Examples
from trainer.learners.mixture import BALANCE, LogMixture, Mixture
from trainer.learners.ngram import Ngram, NgramReplay
from trainer.learners.pools import LinearPool, LogLinearPool, Pool
from trainer.learners.slda import StreamingLda

Batch = tuple[Examples, list[str]]


def without_features(batch: Batch, seed: int = 0) -> Batch:
    """The same listings, whose features are those of others."""
    order = np.random.default_rng(seed).permutation(len(batch[0]))
    return Examples(batch[0].features[order], batch[0].tokens), batch[1]


MIXTURES = Mixture, LogMixture
MEANS: dict[type[Mixture], Callable[..., NDArray[np.float64]]] = {
    Mixture: lambda weights, said: np.average(said, axis=0, weights=weights),
    LogMixture: lambda weights, said: np.exp(np.average(np.log(said), axis=0, weights=weights)),
}


@pytest.mark.parametrize("kind", MIXTURES)
def test_it_is_a_weighted_mean_with_rare_classes_favoured(kind: type[Mixture]) -> None:
    """Its scores are the pool of what its members say, divided by a tenth power of the class's share."""
    mixture = kind()
    teach(mixture, stream(1, 200))
    examples, _ = stream(2, 50)
    state = mixture.state()
    members = [member.from_state(state) for member in (Ngram, NgramReplay, StreamingLda)]
    said = [softmax(member.logits(examples), axis=1) for member in members]
    pool = MEANS[kind]([mixture.weights[member.name] for member in members], said)
    favoured = pool / np.array(mixture.prior()) ** BALANCE

    np.testing.assert_allclose(
        softmax(mixture.logits(examples), axis=1),
        favoured / favoured.sum(axis=1, keepdims=True),
        rtol=1e-9,
    )


@pytest.mark.parametrize("kind", MIXTURES)
def test_who_misleads_counts_less_while_it_does(kind: type[Mixture]) -> None:
    """Once the features are those of other listings SLDA loses weight, and gets it back with them."""
    mixture = kind()
    teach(mixture, stream(3, 600))
    good = mixture.weights["slda"]
    teach(mixture, without_features(stream(4, 600)))
    misled = mixture.weights["slda"]
    teach(mixture, stream(5, 600))

    assert misled < 0.9 * good
    assert mixture.weights["slda"] > misled


@given(
    st.sampled_from(MIXTURES),
    st.lists(st.sampled_from([*LABELS, "Igloo"]), min_size=1, max_size=40),
    st.integers(1, 20),
)
def test_the_weights_are_a_mean(kind: type[Mixture], labels: list[str], cut: int) -> None:
    """Whatever comes, right or wrong, new or known: they are positive and sum to 1."""
    mixture = kind()
    teach(mixture, (stream(5, len(labels))[0], labels), cut)
    weights = list(mixture.weights.values())

    assert min(weights) > 0
    assert sum(weights) == pytest.approx(1)
    assert np.isfinite(mixture.logits(stream(6, 10)[0])).all()


def test_every_member_gets_the_prior_of_the_stream() -> None:
    """After a refit on a balanced buffer the rare class is as rare as in the stream, for all of them."""
    mixture = Mixture()
    teach(mixture, stream(7, 200))
    counts = dict.fromkeys(LABELS, 200) | {"Hotel room": 2}
    mixture.expect(counts)
    state = mixture.state()

    for member in (Ngram, NgramReplay, StreamingLda):
        learner = member.from_state(state)
        shares = dict(zip(learner.classes, learner.prior(), strict=True))
        assert shares == {label: count / sum(counts.values()) for label, count in counts.items()}


def test_once_it_relearned_the_order_of_the_labels_does_not_matter() -> None:
    """Class after class or mixed: from the same buffer it learns the same, and its prior stays."""
    examples, labels = stream(9, 600)
    by_class = sorted(range(len(labels)), key=labels.__getitem__)
    mixed, burst = Mixture(), Mixture()
    for label in LABELS:
        mixed.add_class(label)
        burst.add_class(label)
    teach(mixed, (examples, labels))
    teach(burst, (examples.at(by_class), [labels[place] for place in by_class]))
    fresh, _ = stream(10, 100)
    before = [member.from_state(burst.state()).logits(fresh) for member in (Ngram, NgramReplay)]
    again = [learner.relearned(examples, labels) for learner in (mixed, burst)]

    for member, said in zip((Ngram, NgramReplay), before, strict=True):
        first, second = (member.from_state(learner.state()).logits(fresh) for learner in again)
        np.testing.assert_array_equal(first, second)
        assert np.abs(second - said).max() > 0.1
    assert again[1].prior() == burst.prior()
    assert again[1].weights == burst.weights
    assert again[1].state()["slda"] == burst.state()["slda"]


@pytest.mark.parametrize("label", LABELS)
def test_a_rejected_class_becomes_less_probable_for_every_member(label: str) -> None:
    """N-grams step away from it, and SLDA learns the other classes instead."""
    mixture = Mixture()
    teach(mixture, stream(11, 400))
    examples, _ = stream(12, 1)
    place = mixture.classes.index(label)
    before = mixture.state()

    assert mixture.reject(examples, [label])
    for member in (Ngram, NgramReplay, StreamingLda):
        old, new = (
            softmax(member.from_state(state).logits(examples))[0, place]
            for state in (before, mixture.state())
        )
        assert new < old


def test_light_examples_move_the_weights_of_members_less() -> None:
    """The weights stay a mean, whatever examples weigh."""
    light, heavy = Mixture(), Mixture()
    for mixture in (light, heavy):
        teach(mixture, stream(13, 400))
    before = light.weights
    examples, labels = without_features(stream(14, 20))
    light.learn(examples, labels, np.full(20, 0.1))
    heavy.learn(examples, labels, np.full(20, 1.0))
    moved = [abs(each.weights["slda"] - before["slda"]) for each in (light, heavy)]

    assert 0 < moved[0] < moved[1]
    assert sum(light.weights.values()) == pytest.approx(1)


@given(
    st.lists(st.lists(st.floats(-8, 8), min_size=3, max_size=3), min_size=2, max_size=4),
    st.integers(0, 2),
    st.integers(0, 2**32 - 1),
)
@pytest.mark.parametrize("pool", [LinearPool(), LogLinearPool()])
def test_gains_are_the_slope_of_the_log_loss(
    pool: Pool, scores: list[list[float]], label: int, seed: int
) -> None:
    """By finite differences along any change of weights that keeps their sum."""
    said = log_softmax(np.array(scores), axis=1)
    chance = np.random.default_rng(seed)
    weights = chance.dirichlet(np.full(len(said), 5.0))
    change = chance.normal(size=len(said))
    change -= change.mean()
    up, down = (
        log_softmax(pool.of(said, weights + step * change))[label] for step in (1e-6, -1e-6)
    )

    slope = (up - down) / 2e-6
    assert pool.gains(said, weights, label) @ change == pytest.approx(slope, rel=1e-3, abs=1e-5)
