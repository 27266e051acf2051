"""Probabilities from margins, fitted while labels come."""

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from trainer.learners.base import UNSEEN_LOGIT, Logits, Weights
from trainer.learners.counted import Places

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

MEMORY = 2_000
"""A label of so long ago counts 1 / e: margins grow while a learner learns."""

FARTHEST = 10.0
"""A margin beyond it counts as this."""

LEAST_SCALE, MOST_SCALE = 0.1, 10.0


class _State(msgspec.Struct, frozen=True):
    fitted: bytes
    curvature: bytes


class Platt:
    """
    One scale and a bias for each class, which make logits of margins: scale * margin + bias.

    Platt 1999, "Probabilistic Outputs for Support Vector Machines", for several classes as Guo,
    Pleiss, Sun & Weinberger 2017, "On Calibration of Modern Neural Networks", have it. Every
    mini-batch is judged before it is learned (Dawid 1984, "The Prequential Approach"), and takes
    one step of Newton's method on the log loss, whose curvature is the fading sum over all labels
    and one of a standard normal prior.
    """

    def __init__(self) -> None:
        self._fitted: Vector = np.ones(1)  # (1 + classes,): the scale, then the biases
        self._curvature: Matrix = np.eye(1)

    @property
    def scale(self) -> float:
        """Above 0."""
        return float(self._fitted[0])

    @property
    def bias(self) -> Vector:
        """float64 (classes,)."""
        return self._fitted[1:]

    def add_class(self) -> None:
        """Make room for another class."""
        self._fitted = np.append(self._fitted, 0.0)
        self._curvature = np.pad(self._curvature, (0, 1))
        self._curvature[-1, -1] = 1.0

    def logits(self, margins: Logits) -> Logits:
        """Scale margins, float64 (examples, classes)."""
        scaled: Logits = self.scale * margins + self.bias
        return scaled

    def learn(
        self, margins: Logits, places: Places, weights: Weights, seen: NDArray[np.bool_]
    ) -> None:
        """
        Follow the log loss of labels.

        Args:
            margins: Those before the labels were learned, float64 (examples, classes).
            places: Those of the labels among the classes.
            weights: How many labels each counts as.
            seen: The classes that margins know, (classes,); what is of another says nothing.
        """
        known = seen[places]
        if not known.any():
            return
        margins, places = np.clip(margins[known], -FARTHEST, FARTHEST), places[known]
        weights = weights[known]
        said = softmax(np.where(seen, self.logits(margins), UNSEEN_LOGIT), axis=1)
        errors = said.copy()
        errors[np.arange(len(places)), places] -= 1
        mean = (said * margins).sum(axis=1)
        spread = weights[:, None] * said * (margins - mean[:, None])  # (examples, classes)
        gradient = np.append(weights @ (errors * margins).sum(axis=1), weights @ errors)
        curvature = np.empty_like(self._curvature)
        curvature[0, 0] = (spread * margins).sum()
        curvature[0, 1:] = curvature[1:, 0] = spread.sum(axis=0)
        curvature[1:, 1:] = np.diag(weights @ said) - (said * weights[:, None]).T @ said
        prior = np.eye(len(gradient))
        fading = (1 - 1 / MEMORY) ** weights.sum()
        self._curvature = fading * (self._curvature - prior) + prior + curvature
        self._fitted = self._fitted - np.linalg.solve(self._curvature, gradient)
        self._fitted[0] = np.clip(self._fitted[0], LEAST_SCALE, MOST_SCALE)

    def state(self) -> bytes:
        """Everything that was fitted."""
        return msgspec.msgpack.encode(_State(self._fitted.tobytes(), self._curvature.tobytes()))

    @classmethod
    def from_state(cls, state: bytes) -> "Platt":
        """Resume from `state()`."""
        stored = msgspec.msgpack.decode(state, type=_State)
        platt = cls()
        platt._fitted = np.frombuffer(stored.fitted).copy()
        size = len(platt._fitted)
        platt._curvature = np.frombuffer(stored.curvature).reshape(size, size).copy()
        return platt
