"""The mixture: a pool of its members, whose weights follow how well they predict."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from tests.trainer.learners.test_every_learner import LABELS, stream, teach
from trainer.learners.base import Examples
from trainer.learners.mixture import Mixture
from trainer.learners.ngram import Ngram, NgramReplay
from trainer.learners.slda import StreamingLda

Batch = tuple[Examples, list[str]]


def without_features(batch: Batch, seed: int = 0) -> Batch:
    """The same listings, whose features are those of others."""
    order = np.random.default_rng(seed).permutation(len(batch[0]))
    return Examples(batch[0].features[order], batch[0].tokens), batch[1]


def test_it_is_the_weighted_mean_of_log_probabilities() -> None:
    """Its scores are the pool of what its members say, each by itself."""
    mixture = Mixture()
    teach(mixture, stream(1, 200))
    examples, _ = stream(2, 50)
    state = mixture.state()
    members = [member.from_state(state) for member in (Ngram, NgramReplay, StreamingLda)]
    said = [log_softmax(member.logits(examples), axis=1) for member in members]
    weighed = sum(mixture.weights[m.name] * s for m, s in zip(members, said, strict=True))

    np.testing.assert_allclose(
        softmax(mixture.logits(examples), axis=1), softmax(weighed, axis=1), rtol=1e-9
    )


def test_who_misleads_counts_less_while_it_does() -> None:
    """Once the features are those of other listings SLDA loses weight, and gets it back with them."""
    mixture = Mixture()
    teach(mixture, stream(3, 600))
    good = mixture.weights["slda"]
    teach(mixture, without_features(stream(4, 600)))
    misled = mixture.weights["slda"]
    teach(mixture, stream(5, 600))

    assert misled < 0.9 * good
    assert mixture.weights["slda"] > misled


@given(st.lists(st.sampled_from([*LABELS, "Igloo"]), min_size=1, max_size=40), st.integers(1, 20))
def test_the_weights_are_a_mean(labels: list[str], cut: int) -> None:
    """Whatever comes, right or wrong, new or known: they are positive and sum to 1."""
    mixture = Mixture()
    teach(mixture, (stream(5, len(labels))[0], labels), cut)
    weights = list(mixture.weights.values())

    assert min(weights) > 0
    assert sum(weights) == pytest.approx(1)
    assert np.isfinite(mixture.logits(stream(6, 10)[0])).all()


def test_every_member_gets_the_prior_of_the_stream() -> None:
    """After a refit on a balanced buffer the rare class is as rare as in the stream, for all of them."""
    mixture = Mixture()
    teach(mixture, stream(7, 200))
    examples, _ = stream(8, 20)
    before = mixture.logits(examples)
    place = {label: mixture.classes.index(label) for label in LABELS}
    counts = dict.fromkeys(LABELS, 200) | {"Hotel room": 2}
    even = mixture.prior()
    mixture.expect(counts)
    after = mixture.logits(examples)
    hotel, flat = place["Hotel room"], place["Entire home/apt"]
    moved = (after[:, hotel] - after[:, flat]) - (before[:, hotel] - before[:, flat])

    np.testing.assert_allclose(moved, np.log(2 / 200) - np.log(even[hotel] / even[flat]), rtol=1e-6)
