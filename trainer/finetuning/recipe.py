"""How a DistilBERT is fine-tuned on the replay buffer: what is drawn, minimised, and when it stops."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from artefacts.manifest import Losses
from trainer.encoders import PooledEncoder
from trainer.finetuning.job import Listings
from trainer.finetuning.loop import Loop, Model

DARK_WEIGHT = 0.1


class Training(Loop):
    """
    One run, a mini-batch at a time.

    Classes are drawn half balanced (as often as the square root of their count in the stream), and the
    head is linear and begins at zero: every class has the same score. To the cross-entropy it
    adds how far the logits moved from those that were stored when a listing was met, so that what the
    stream taught and the buffer no longer holds stays (Buzzega et al. 2020, "Dark Experience for General
    Continual Learning"); classes that had no example then are masked.

    Args:
        encoder: Where it starts; it is trained in place.
        listings: Those with a label, one at least that validates and one that does not.
        counts: How many labels of each class the stream had.
        steps: The most mini-batches.
        seed: Of the draws and of dropout.
    """

    def __init__(
        self,
        encoder: PooledEncoder,
        listings: Listings,
        counts: Sequence[int],
        steps: int,
        seed: int,
    ) -> None:
        trained = (listings.labels >= 0) & ~listings.validation
        chances = half_balanced(listings.labels[trained], counts)
        super().__init__(linear_model(encoder, len(counts)), listings, chances, steps, seed)

    @property
    def overfits(self) -> bool:
        """Whether the training loss fell and the validation loss rose, twice."""
        return overfits(self.curve)

    def best(self) -> PooledEncoder:
        """The encoder of the best evaluation."""
        return self.best_model().encoder

    def losses(
        self, rows: NDArray[np.int64], features: torch.Tensor, logits: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Cross-entropy with what stored logits add to it, and cross-entropy alone."""
        loss = functional.cross_entropy(logits, torch.from_numpy(self._listings.labels[rows]))
        stored = torch.from_numpy(self._listings.stored[rows])
        return loss + DARK_WEIGHT * dark_loss(logits, stored), loss


def linear_model(encoder: PooledEncoder, classes: int) -> Model:
    """An encoder with one linear layer that begins at zero: every class has the same score."""
    head = torch.nn.Linear(encoder.model.config.dim, classes)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    return Model(encoder, head)


def half_balanced(labels: NDArray[np.int64], counts: Sequence[int]) -> NDArray[np.float64]:
    """
    How likely each example is drawn: a class comes as often as the square root of its count.

    Args:
        labels: The class of each example.
        counts: How many labels of each class the stream had; at least one where it has examples.
    """
    kept = np.bincount(labels, minlength=len(counts))
    weights = np.sqrt(np.maximum(counts, 1)) / np.maximum(kept, 1)
    chances: NDArray[np.float64] = weights[labels] / weights[labels].sum()
    return chances


def dark_loss(logits: torch.Tensor, stored: torch.Tensor) -> torch.Tensor:
    """
    Mean squared distance of logits (batch, classes) from stored ones, not a number where unknown.

    Each row is compared from the mean of its known classes: softmax does not see a constant.
    """
    known = ~stored.isnan()
    if not known.any():
        return logits.new_zeros(())
    count = known.sum(dim=1, keepdim=True).clamp(min=1)
    difference = torch.where(known, logits - stored.nan_to_num(), 0)
    centred = difference - difference.sum(dim=1, keepdim=True) / count
    return (centred[known] ** 2).mean()


def overfits(curve: Sequence[Losses]) -> bool:
    """Whether the training loss fell and the validation loss rose at both of the last two evaluations."""
    if len(curve) < 3:
        return False
    return all(
        after.training < before.training and after.validation > before.validation
        for before, after in zip(curve[-3:-1], curve[-2:], strict=True)
    )
