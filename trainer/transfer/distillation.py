"""How a student learns from a file: from labels alone, or from a teacher's answers too."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from artefacts.graphs import Floats
from trainer.calibration import calibrate
from trainer.encoders import PooledEncoder
from trainer.evaluation import Truth
from trainer.finetuning.job import Listings
from trainer.finetuning.loop import BATCH, Loop, Model
from trainer.transfer.plan import Pace, Shares

DROPOUT = 0.2
"""Between the layers of the head, as DistilBertForSequenceClassification has it."""


class Transfer(Loop):
    """
    One run. Each listing is drawn alike, so that the student's answers are as common as the labels are.

    The head has two layers, as DistilBertForSequenceClassification has. It begins with the same score
    for every class.

    Args:
        encoder: Where it starts; it is trained in place.
        listings: What is learned; `stored` is what the teacher says.
        shares: What is minimised.
        pace: How long and how fast.
        states: The teacher's hidden states, float32 (listings, dim); None where no cosine is minimised.
    """

    def __init__(
        self,
        encoder: PooledEncoder,
        listings: Listings,
        shares: Shares,
        pace: Pace,
        states: Floats | None = None,
    ) -> None:
        learned = int((~listings.validation).sum())
        torch.manual_seed(pace.seed)
        head = two_layers(encoder.model.config.dim, listings.stored.shape[1])
        self._parts = shares.normalised
        self._temperature = shares.temperature
        self._patience = pace.patience
        self._states = None if states is None else torch.from_numpy(states)
        self.steps = max(1, math.ceil(pace.epochs * learned / BATCH))
        chances = np.full(learned, 1 / learned)
        super().__init__(Model(encoder, head), listings, chances, self.steps, pace.seed, pace.rate)

    @property
    def overfits(self) -> bool:
        """Whether the validation loss was not lower for too long."""
        since = [each for each in self.curve if each.step > self.best_step]
        return len(since) >= self._patience

    @property
    def recent(self) -> float:
        """The mean training loss since the last evaluation; not a number right after it."""
        return sum(self._losses) / len(self._losses) if self._losses else math.nan

    def losses(
        self, rows: NDArray[np.int64], features: torch.Tensor, logits: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The weighted sum, which is shown as well."""
        loss = self._loss(rows, features, logits, served=logits)
        return loss, loss

    def validation_loss(
        self, rows: NDArray[np.int64], features: torch.Tensor, logits: torch.Tensor
    ) -> float:
        """
        The weighted sum, where labels are compared at the temperature that is best, as a release gets it.

        Without it their loss rises once answers are too sure of themselves, while they still become
        better, and training would end too soon.
        """
        classes = [str(number) for number in range(logits.shape[1])]
        truth = Truth.of([classes[label] for label in self._listings.labels[rows]])
        temperature = calibrate(classes, logits.double().numpy(), truth, {}).temperature
        return float(self._loss(rows, features, logits, served=logits / temperature))

    def _loss(
        self,
        rows: NDArray[np.int64],
        features: torch.Tensor,
        logits: torch.Tensor,
        served: torch.Tensor,
    ) -> torch.Tensor:
        soft, labels, cosine = self._parts
        loss = logits.new_zeros(())
        if labels:
            truth = torch.from_numpy(self._listings.labels[rows])
            loss = loss + labels * functional.cross_entropy(served, truth)
        if soft:
            said = torch.from_numpy(self._listings.stored[rows])
            loss = loss + soft * soft_loss(logits, said, self._temperature)
        if cosine and self._states is not None:
            loss = loss + cosine * cosine_loss(features, self._states[rows])
        return loss


def two_layers(dim: int, classes: int) -> torch.nn.Sequential:
    """A head of two layers; the second one begins at zero."""
    last = torch.nn.Linear(dim, classes)
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.zeros_(last.bias)
    return torch.nn.Sequential(
        torch.nn.Linear(dim, dim), torch.nn.ReLU(), torch.nn.Dropout(DROPOUT), last
    )


def soft_loss(logits: torch.Tensor, taught: torch.Tensor, temperature: float) -> torch.Tensor:
    """
    How far the answers are from the teacher's, both softened: KL(teacher || student) T², over the batch.

    Hinton, Vinyals & Dean 2015, "Distilling the Knowledge in a Neural Network": T² keeps the gradients
    as large as those of labels.

    Args:
        logits: The student's, float32 (batch, classes).
        taught: The teacher's; -inf for a class that it does not know.
        temperature: T.
    """
    ours = functional.log_softmax(logits / temperature, dim=1)
    theirs = functional.softmax(taught / temperature, dim=1)
    return functional.kl_div(ours, theirs, reduction="batchmean") * temperature**2


def cosine_loss(states: torch.Tensor, taught: torch.Tensor) -> torch.Tensor:
    """
    1 - cosine of student's and teacher's hidden states, each (batch, dim), over the batch.

    Sanh et al. compare every token. Here it is the state that the classification reads, one a text (the
    first token's, or the mean), so that the two may cut words differently.
    """
    return (1 - functional.cosine_similarity(states, taught, dim=1)).mean()
