"""
Fine-tuning as people do it: one epoch, no replay.

It makes the first encoder of every stream, the naive way, and the bound.
"""

import random
from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch
from torch.nn.functional import cross_entropy

from artefacts.graphs import Floats, padded
from trainer.encoders import PooledEncoder
from trainer.finetuning.precision import training_precision

BATCH = 32
BATCHES_SORTED = 50
ENCODER_RATE, HEAD_RATE = 1e-4, 1e-3
WARM_UP_STEPS = 60
CLIP_NORM = 1.0
FEATURE_SCALE = 20.0
"""Features have the length 1: so scaled, the head learns at its rate as fast as the encoder."""

Tokens = Sequence[Sequence[int]]
Step = Callable[[int, int], None]


class Network(torch.nn.Module):
    """
    An encoder with a linear head.

    Args:
        encoder: Text to features of length 1.
        classes: How many.
    """

    def __init__(self, encoder: PooledEncoder, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = torch.nn.Linear(encoder.model.config.dim, classes)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Score int64 (batch, sequence) twice: float32 (batch, classes)."""
        with training_precision() if self.training else nullcontext():
            features = self.encoder(input_ids, attention_mask)  # (batch, dim)
        logits: torch.Tensor = self.head(FEATURE_SCALE * features.float())
        return logits


def fine_tune(
    network: Network, tokens: Tokens, targets: Sequence[int], seed: int, step: Step
) -> None:
    """
    Train for one epoch: AdamW, batches of texts of like length, warm-up, linear decay, clipping.

    Args:
        network: What is trained, in place.
        tokens: The texts.
        targets: The class of each.
        seed: Of the order and of dropout.
        step: Called with how many steps are done, and how many there are.
    """
    torch.manual_seed(seed)
    batches = _batches([len(row) for row in tokens], seed)
    optimizer = torch.optim.AdamW(
        [
            {"params": network.encoder.parameters(), "lr": ENCODER_RATE},
            {"params": network.head.parameters(), "lr": HEAD_RATE},
        ],
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _rate(len(batches)))
    network.train()
    for number, batch in enumerate(batches):
        loss = cross_entropy(
            network(*_tensors([tokens[place] for place in batch])),
            torch.tensor([targets[place] for place in batch]),
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
        optimizer.step()
        schedule.step()
        step(number + 1, len(batches))
    network.eval()


def log_probabilities(network: Network, tokens: Tokens) -> Floats:
    """Score texts: float32 (texts, classes)."""
    order = sorted(range(len(tokens)), key=lambda place: len(tokens[place]))
    found = torch.empty((len(tokens), network.head.out_features))
    with torch.no_grad():
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            found[batch] = network(*_tensors([tokens[place] for place in batch])).log_softmax(1)
    scores: Floats = found.numpy()
    return scores


def _batches(lengths: Sequence[int], seed: int) -> list[list[int]]:
    """Batches of like length in random order: sorted only within some batches' worth of texts."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    order = list(range(len(lengths)))
    chance.shuffle(order)
    batches = []
    chunk = BATCH * BATCHES_SORTED
    for start in range(0, len(order), chunk):
        near = sorted(order[start : start + chunk], key=lambda place: lengths[place])
        batches += [near[at : at + BATCH] for at in range(0, len(near), BATCH)]
    chance.shuffle(batches)
    return batches


def _rate(steps: int) -> Callable[[int], float]:
    """The share of the learning rate by step: up linearly, then down linearly to 0."""
    warm_up = min(WARM_UP_STEPS, max(1, steps // 4))

    def rate(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        return max(0.0, (steps - step) / max(1, steps - warm_up))

    return rate


def _tensors(rows: Tokens) -> tuple[torch.Tensor, torch.Tensor]:
    input_ids, mask = padded(rows)
    return torch.from_numpy(input_ids), torch.from_numpy(mask)
