"""What a student begins with, minimises and learns, and when it stops."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import DistilBertModel

from artefacts.graphs import Floats
from artefacts.manifest import Losses
from schemas.errors import ConfigurationError
from tests.trainer.distilberts import config
from tests.trainer.finetuning.jobs import tiny_encoder
from tests.trainer.transfer.problem import LABELS, bert, rows, tokens
from trainer.encoders import alternate_layers, distilbert_of_bert
from trainer.finetuning.job import Listings
from trainer.transfer.candidates import scores
from trainer.transfer.distillation import Transfer, cosine_loss, soft_loss
from trainer.transfer.plan import LABELS_ALONE, Pace, Shares

QUICK = Pace(epochs=10, rate=3e-3)


def _listings(count: int = 240, seed: int = 0, stored: Floats | None = None) -> Listings:
    listings = rows(count, seed)
    return Listings(
        ids=[row.listing_id for row in listings],
        seqs=list(range(count)),
        tokens=tokens(listings),
        labels=np.array([LABELS.index(row.label) for row in listings]),
        stored=np.full((count, 3), np.nan, np.float32) if stored is None else stored,
        validation=np.arange(count) % 8 == 0,
    )


def _ended(training: Transfer) -> Transfer:
    while not training.stopped:
        training.advance()
    return training


@pytest.mark.parametrize(
    ("layers", "copied"),
    [(12, [0, 2, 4, 7, 9, 11]), (6, [0, 2, 5]), (4, [0, 3]), (2, [0]), (1, [0])],
)
def test_alternate_layers_are_copied(layers: int, copied: list[int]) -> None:
    """Embeddings and chosen layers are the teacher's to the bit; its types are in the positions."""
    teacher = bert(layers, dim=8).bert.eval()
    student: Any = alternate_layers(distilbert_of_bert(teacher))
    ours, theirs = student.transformer.layer, teacher.encoder.layer
    positions = teacher.embeddings.position_embeddings.weight
    types = teacher.embeddings.token_type_embeddings.weight

    assert student.config.n_layers == len(ours) == len(copied)
    for layer, place in zip(ours, copied, strict=True):
        assert torch.equal(layer.attention.q_lin.weight, theirs[place].attention.self.query.weight)
        assert torch.equal(layer.attention.out_lin.bias, theirs[place].attention.output.dense.bias)
        assert torch.equal(layer.ffn.lin1.weight, theirs[place].intermediate.dense.weight)
        assert torch.equal(layer.ffn.lin2.bias, theirs[place].output.dense.bias)
        assert torch.equal(layer.output_layer_norm.weight, theirs[place].output.LayerNorm.weight)
    assert torch.equal(
        student.embeddings.word_embeddings.weight, teacher.embeddings.word_embeddings.weight
    )
    assert torch.equal(student.embeddings.position_embeddings.weight, positions + types[0])


def test_the_student_is_no_part_of_its_teacher() -> None:
    """Training one leaves the other as it is."""
    teacher: Any = DistilBertModel(config())
    student: Any = alternate_layers(teacher)
    before = teacher.transformer.layer[0].ffn.lin1.weight.clone()
    with torch.no_grad():
        student.transformer.layer[0].ffn.lin1.weight.zero_()

    assert torch.equal(teacher.transformer.layer[0].ffn.lin1.weight, before)


def test_soft_targets_are_compared_at_a_temperature() -> None:
    """KL times T², nothing for equal answers, finite where the teacher does not know a class."""
    ours, theirs = torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([[0.0, 1.0, -math.inf]])
    p, q = torch.softmax(theirs / 3, 1), torch.softmax(ours / 3, 1)
    expected = 9 * float(sum(a * (a / b).log() for a, b in zip(p[0, :2], q[0, :2], strict=True)))

    assert soft_loss(ours, theirs, 3).item() == pytest.approx(expected, rel=1e-5)
    assert soft_loss(ours, ours + 5, 3).item() == pytest.approx(0, abs=1e-6)


def test_gradients_of_soft_targets_stay_as_large() -> None:
    """At a high temperature they are those of the difference of centred logits, whatever T is."""
    slopes = []
    for temperature in (50.0, 100.0):
        ours = torch.tensor([[1.0, 0.0, -1.0]], requires_grad=True)
        soft_loss(ours, torch.tensor([[0.0, 0.0, 3.0]]), temperature).backward()  # type: ignore[no-untyped-call]
        assert ours.grad is not None
        slopes.append(ours.grad.norm().item())

    assert slopes[0] == pytest.approx(slopes[1], rel=0.05)


def test_the_cosine_sees_directions_alone() -> None:
    """0 for the same direction, 1 for a right angle, 2 for the opposite; lengths do not count."""
    states = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    taught = torch.tensor([[7.0, 0.0], [0.0, 2.0], [-3.0, 0.0]])

    assert cosine_loss(states, taught).item() == pytest.approx(1)
    assert [cosine_loss(states[i : i + 1], taught[i : i + 1]).item() for i in range(3)] == [0, 1, 2]


def test_the_loss_falls_and_the_best_weights_are_kept() -> None:
    """On what is learned and on what validates; the kept weights are of the lowest validation loss."""
    training = _ended(Transfer(tiny_encoder(), _listings(), LABELS_ALONE, QUICK))
    first, lowest = training.curve[0], min(training.curve, key=lambda each: each.validation)

    assert lowest.validation < 0.2 < first.validation
    assert training.curve[-1].training < first.training
    assert training.best_step == lowest.step


def test_the_three_parts_are_weighed() -> None:
    """The loss is their sum by shares; with a single share it is that part alone."""
    listings = _listings(stored=np.random.default_rng(1).normal(size=(240, 3)).astype(np.float32))
    states = np.random.default_rng(2).normal(size=(240, 32)).astype(np.float32)
    some = np.arange(16)
    features, logits = torch.from_numpy(states[16:32]), torch.from_numpy(listings.stored[16:32])

    def loss(shares: Shares) -> float:
        training = Transfer(tiny_encoder(), listings, shares, QUICK, states)
        return float(training.losses(some, features, logits)[0])

    soft, labels = loss(Shares(1, 0, 0)), loss(Shares(0, 1, 0))
    cosine = 2 * loss(Shares(0, 1, 1)) - labels

    assert soft == pytest.approx(
        float(soft_loss(logits, torch.from_numpy(listings.stored[:16]), 2.0))
    )
    assert cosine == pytest.approx(float(cosine_loss(features, torch.from_numpy(states[:16]))))
    assert loss(Shares(5, 2, 1)) == pytest.approx((5 * soft + 2 * labels + cosine) / 8, rel=1e-5)


def test_to_be_too_sure_raises_no_validation_loss() -> None:
    """It gets a temperature, as a release does: what is minimised is not spared."""
    training = Transfer(tiny_encoder(), _listings(), LABELS_ALONE, QUICK)
    rows, chance = np.arange(240), np.random.default_rng(4)
    features, doubting = torch.zeros(240, 32), torch.from_numpy(chance.normal(size=(240, 3)))
    doubting[rows, torch.from_numpy(_listings().labels)] += 1.5
    sure = 4 * doubting
    minimised = [float(training.losses(rows, features, each)[0]) for each in (doubting, sure)]
    judged = [training.validation_loss(rows, features, each) for each in (doubting, sure)]

    assert minimised[1] > 1.2 * minimised[0]
    assert judged[1] == pytest.approx(judged[0], rel=0.02)
    assert judged[0] <= minimised[0]


@pytest.mark.parametrize("shares", [(0, 0, 1), (-1, 2, 1)])
def test_shares_that_teach_nothing_are_refused(shares: tuple[float, float, float]) -> None:
    """A head needs answers; a negative share is none."""
    with pytest.raises(ConfigurationError):
        Shares(*shares)


@pytest.mark.parametrize(
    ("validation", "patience", "stops"),
    [
        ([3, 2, 1], 1, False),
        ([3, 2, 2.5], 1, True),
        ([3, 2, 2.5], 2, False),
        ([3, 1, 2, 1.5], 2, True),
        ([3, 2, 2.5, 1], 2, False),
    ],
)
def test_patience_ends_when_validation_rises(
    validation: list[float], patience: int, stops: bool
) -> None:
    """It counts evaluations since the best one."""
    training = Transfer(tiny_encoder(), _listings(), LABELS_ALONE, Pace(patience=patience))
    training.curve = [Losses(step, 1, loss) for step, loss in enumerate(validation, 1)]
    training.best_step = validation.index(min(validation)) + 1

    assert (training.stopped == "overfitting") is stops


def test_labels_that_mean_nothing_stop_it_early() -> None:
    """The weights are those of the best evaluation, not of the last."""
    listings = _listings()
    noise: NDArray[np.int64] = np.random.default_rng(1).integers(0, 3, 240)
    pace = Pace(epochs=30, rate=3e-3, patience=2)
    training = _ended(Transfer(tiny_encoder(), replace(listings, labels=noise), LABELS_ALONE, pace))

    assert training.stopped == "overfitting"
    assert training.best_step < training.step < training.steps


def test_the_same_seed_gives_the_same_weights() -> None:
    """And another one others."""

    def weights(seed: int) -> torch.Tensor:
        pace = Pace(epochs=0.5, seed=seed)
        training = _ended(Transfer(tiny_encoder(), _listings(80), LABELS_ALONE, pace))
        found: torch.Tensor = training.best_model().head.state_dict()["0.weight"].clone()
        return found

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_the_cosine_turns_states_to_the_teachers() -> None:
    """With it they end nearer to those of the teacher than without."""
    states = np.random.default_rng(3).normal(size=(3, 32)).astype(np.float32)
    listings = _listings()
    taught = states[listings.labels]
    ids = [torch.tensor([row]) for row in listings.tokens[:24]]

    def angle(cosine: float) -> float:
        shares = Shares(soft=0, labels=1, cosine=cosine)
        pace = replace(QUICK, epochs=4)
        model = _ended(Transfer(tiny_encoder(), listings, shares, pace, taught)).best_model()
        with torch.no_grad():
            found = torch.cat([model.encoder(row, torch.ones_like(row)) for row in ids])
        return float(cosine_loss(found, torch.from_numpy(taught[:24])))

    assert angle(3) < 0.3 < angle(0)


def test_soft_targets_teach_what_no_label_says() -> None:
    """The teacher's second choice depends on another word: only its student knows it, on new titles."""

    def answers(listings: Listings, seed: int) -> Floats:
        first = listings.labels
        second = np.array(["balcon" in row.text for row in rows(len(first), seed)])
        logits = np.zeros((len(first), 3), np.float32)
        logits[np.arange(len(first)), first] = 4
        logits[np.arange(len(first)), (first + 1 + second) % 3] = 2
        return logits

    taught, new = _listings(seed=0), _listings(seed=1)
    expected = answers(new, 1).argsort(axis=1)
    agreed = {}
    for shares in (Shares(soft=1, labels=0, cosine=0), LABELS_ALONE):
        listings = replace(taught, stored=answers(taught, 0))
        training = _ended(Transfer(tiny_encoder(), listings, shares, replace(QUICK, epochs=14)))
        model = training.best_model()
        features = np.concatenate(
            [
                model.encoder(row, torch.ones_like(row)).detach().numpy()
                for row in (torch.tensor([ids]) for ids in new.tokens)
            ]
        )
        agreed[shares] = (scores(model, features).argsort(axis=1) == expected).all(axis=1).mean()

    assert agreed[LABELS_ALONE] < 0.7
    assert agreed[Shares(soft=1, labels=0, cosine=0)] > 0.9
