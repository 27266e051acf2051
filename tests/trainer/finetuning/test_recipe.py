"""The training loop: what it draws, what it minimises, when it stops, and that it resumes exactly."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from artefacts.manifest import Losses
from schemas.errors import RoomstreamError
from tests.trainer.finetuning.jobs import COUNTS, tiny_encoder, tiny_listings, tiny_training
from trainer.finetuning.checkpoint import load_checkpoint, save_checkpoint
from trainer.finetuning.loop import rates, warm_up_steps
from trainer.finetuning.recipe import Training, dark_loss, half_balanced, overfits

nan = float("nan")


def _weights(training: Training) -> dict[str, torch.Tensor]:
    while not training.stopped:
        training.advance()
    return training.best().state_dict()


def _equal(some: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(some[name], others[name]) for name in some)


def test_it_learns_what_it_does_not_train_on() -> None:
    """The validation loss falls below that of knowing nothing, and the curve says so."""
    listings = tiny_listings()
    nothing = np.full_like(listings.stored, nan)
    training = Training(tiny_encoder(), replace(listings, stored=nothing), COUNTS, 100, 3)
    _weights(training)
    losses = [each.validation for each in training.curve]

    assert [each.step for each in training.curve] == list(range(10, 101, 10))
    assert min(losses) < losses[0] < np.log(4)
    assert training.best_step > 0


@pytest.mark.parametrize("killed_after", [1, 12])
def test_a_resumed_run_ends_in_the_same_weights(tmp_path: Path, killed_after: int) -> None:
    """Whatever the step at which it was killed, also twice: weights and curve are the same."""
    whole = tiny_training()
    expected = _weights(whole)
    path = tmp_path / "checkpoint.pt"
    for _ in range(2):
        killed = tiny_training()
        load_checkpoint(path, killed)
        for _ in range(min(killed_after, 30 - killed.step)):
            killed.advance()
        save_checkpoint(path, killed)
    resumed = tiny_training()
    load_checkpoint(path, resumed)

    assert _equal(_weights(resumed), expected)
    assert resumed.curve == whole.curve


def test_another_seed_is_another_run() -> None:
    """Draws and dropout follow the seed."""
    assert not _equal(_weights(tiny_training(seed=3)), _weights(tiny_training(seed=4)))


def test_the_head_learns_alone_at_first() -> None:
    """In the warm-up no weight of the encoder moves; after it they do."""
    training = tiny_training(steps=50)
    before = tiny_encoder().state_dict()
    encoder = training._model.encoder
    for _ in range(warm_up_steps(50)):
        training.advance()
    unmoved = _equal(encoder.state_dict(), before)
    training.advance()

    assert unmoved
    assert not _equal(encoder.state_dict(), before)
    assert training._model.head.state_dict()["weight"].abs().max() > 0


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=60),
    st.lists(st.integers(1, 10_000), min_size=4, max_size=4),
)
def test_classes_are_drawn_half_balanced(labels: list[int], counts: list[int]) -> None:
    """A class comes as often as the square root of its count, each of its examples alike."""
    rows = np.array(labels)
    chances = half_balanced(rows, counts)
    present = sorted(set(labels))
    total = sum(counts[label] ** 0.5 for label in present)

    for label in present:
        own = chances[rows == label]
        assert own.sum() == pytest.approx(counts[label] ** 0.5 / total)
        assert np.ptp(own) == pytest.approx(0)


def test_draws_follow_the_chances_and_leave_out_what_validates() -> None:
    """Of 200 batches every class has its share; held-out and validating listings are never drawn."""
    training = Training(tiny_encoder(), tiny_listings(), COUNTS, 200, 0)
    listings = tiny_listings()
    drawn = np.concatenate([training.drawn(step) for step in range(200)])
    shares = np.bincount(listings.labels[drawn]) / len(drawn)
    roots = np.sqrt(COUNTS)

    np.testing.assert_allclose(shares, roots / roots.sum(), atol=0.03)
    assert not listings.validation[drawn].any()
    assert (listings.labels[drawn] >= 0).all()


def test_batches_hold_texts_of_similar_length() -> None:
    """The lengths within a batch vary less than between batches."""
    training = tiny_training()
    tokens = tiny_listings().tokens
    lengths = [[len(tokens[row]) for row in training.drawn(step)] for step in range(8)]

    assert max(max(each) - min(each) for each in lengths) < max(map(max, lengths)) - min(
        map(min, lengths)
    )
    assert Counter(map(len, lengths)) == {32: 8}


def test_dark_loss_sees_no_constant_and_no_unknown_class() -> None:
    """Logits that softmax takes for the same cost nothing; nor does what was not known."""
    stored = torch.tensor([[1.0, 2.0, nan], [nan, nan, nan]])
    shifted = torch.tensor([[6.0, 7.0, 40.0], [1.0, -9.0, 3.0]], requires_grad=True)
    other = torch.tensor([[1.0, 4.0, 0.0], [0.0, 0.0, 0.0]])
    loss = dark_loss(shifted, stored)
    loss.backward()  # type: ignore[no-untyped-call]

    assert loss.item() == 0
    assert shifted.grad is not None
    assert shifted.grad.isfinite().all()
    assert dark_loss(other, stored).item() == pytest.approx(1)
    assert dark_loss(other, torch.full((2, 3), nan)).item() == 0


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([(3, 3), (2, 2)], False),
        ([(3, 3), (2, 4), (1, 5)], True),
        ([(3, 3), (2, 4), (1, 3.9)], False),
        ([(3, 3), (4, 4), (5, 5)], False),
        ([(9, 1), (3, 3), (2, 4), (1, 5)], True),
        ([(3, 3), (2, 4), (1, 5), (0, 1)], False),
    ],
)
def test_overfitting_is_two_evaluations_apart(
    losses: list[tuple[float, float]], expected: bool
) -> None:
    """Training loss falls while validation loss rises, twice in a row."""
    curve = [Losses(step, *pair) for step, pair in enumerate(losses)]

    assert overfits(curve) is expected


def test_overfitting_stops_and_keeps_the_best_weights() -> None:
    """On labels that mean nothing the run ends early with the weights of its best evaluation."""
    listings = tiny_listings()
    labels = np.where(
        listings.labels >= 0, np.random.default_rng(2).integers(0, 4, len(listings.ids)), -1
    )
    meaningless = replace(listings, labels=labels, stored=np.full_like(listings.stored, nan))
    training = Training(tiny_encoder(), meaningless, [30] * 4, 300, 1)
    while not training.stopped:
        training.advance()
        if training.best_step == training.step:
            kept = {name: each.clone() for name, each in training._mean.module.state_dict().items()}
    best = min(training.curve, key=lambda each: each.validation)

    assert training.stopped == "overfitting"
    assert training.best_step == best.step < training.step < 300
    assert _equal(
        training.best().state_dict(),
        {n.removeprefix("encoder."): v for n, v in kept.items() if n.startswith("encoder.")},
    )


@given(st.integers(10, 2_000), st.data())
def test_rates_rise_and_fall(steps: int, data: st.DataObject) -> None:
    """They stay within their bounds; the encoder's is 0 in the warm-up of the head."""
    step = data.draw(st.integers(0, steps - 1))
    encoder, head = rates(step, steps)

    assert 0 <= encoder <= 1e-4
    assert 0 < head <= 1e-3
    assert (encoder == 0) == (step < warm_up_steps(steps))


def test_a_run_that_diverges_says_so() -> None:
    """A loss that is no number ends it: nothing is made of such weights."""
    training = tiny_training(steps=10)
    with torch.no_grad():
        training._model.head.state_dict()["bias"].fill_(nan)

    with pytest.raises(RoomstreamError, match="diverged"):
        training.advance()
