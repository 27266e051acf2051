"""Nearest class mean."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from trainer.heads import Graph, linear
from trainer.learners.base import Examples, Features, Logits, Weights
from trainer.learners.counted import Counted, Places, log_share

Matrix = NDArray[np.float64]


class _Own(msgspec.Struct, frozen=True):
    dimensions: int
    sums: bytes
    squares: float


class NearestMean(Counted):
    """
    Nearest class mean: a class is its mean, and a listing is of the nearest.

    Mensink, Verbeek, Perronnin & Csurka 2013, "Distance-Based Image Classification: Generalizing to New
    Classes at Near-Zero Cost". Scores are those of isotropic Gaussians of one variance, which is
    estimated as the mean squared distance to the class means over the dimensions, so that they are
    probabilities. Means are sums: neither order nor mini-batches matter, and examples can be taken back.

    Example:
        >>> learner = NearestMean()
        >>> listings = Examples(np.eye(2, dtype=np.float32), [[101, 102], [101, 102]])
        >>> learner.learn(listings, ["Private room", "Shared room"])
        >>> learner.logits(listings).argmax(axis=1).tolist()
        [0, 1]
    """

    name = "ncm"

    def __init__(self) -> None:
        super().__init__()
        self._sums: Matrix = np.zeros((0, 0))  # (classes, dim)
        self._squares = 0.0  # the sum of all squared lengths

    def _add_class(self) -> None:
        self._sums = np.pad(self._sums, ((0, 1), (0, 0)))

    def _learn(self, examples: Examples, places: Places, weights: Weights) -> None:
        rows = examples.features.astype(np.float64)
        self._widen(rows.shape[1])
        np.add.at(self._sums, places, rows * weights[:, None])
        self._squares += float(weights @ (rows**2).sum(axis=1))

    def _forget(self, features: Features, places: Places) -> bool:
        rows = features.astype(np.float64)
        np.subtract.at(self._sums, places, rows)
        self._squares = max(0.0, self._squares - float((rows**2).sum()))
        return True

    def _scores(self, examples: Examples) -> Logits:
        weights, bias = self._discriminant()
        scores: Logits = examples.features.astype(np.float64) @ weights + bias
        return scores

    def _graph(self, to: str) -> Graph:
        weights, bias = self._discriminant()
        return linear(weights.astype(np.float32), bias.astype(np.float32), to)

    def _own(self) -> bytes:
        own = _Own(self._sums.shape[1], self._sums.tobytes(), self._squares)
        return msgspec.msgpack.encode(own)

    def _restore(self, own: bytes) -> None:
        stored = msgspec.msgpack.decode(own, type=_Own)
        shape = (len(self._classes), stored.dimensions)
        self._sums = np.frombuffer(stored.sums).reshape(shape).copy()
        self._squares = stored.squares

    def _widen(self, dimensions: int) -> None:
        """Take the width of the features from the first of them."""
        if self._sums.shape[1] == 0:
            self._sums = np.zeros((len(self._classes), dimensions))

    def _discriminant(self) -> tuple[Matrix, Matrix]:
        """The logarithms of Gaussian densities as weights (dim, classes) and bias (classes,)."""
        counts = self._counts
        means = self._sums / np.maximum(counts, 1)[:, None]
        total, dimensions = counts.sum(), means.shape[1]
        # Seen from the centre of the classes: a shift of all logits alike, which keeps numbers small.
        centre = self._sums.sum(axis=0) / total
        scattered = self._squares - float(counts @ (means**2).sum(axis=1))
        variance = max(scattered / (total * dimensions), _LEAST_VARIANCE)
        offsets = means - centre
        weights = offsets.T / variance
        bias = -((means + centre) * offsets).sum(axis=1) / (2 * variance)
        return weights, bias + log_share(np.maximum(counts, 1))


_LEAST_VARIANCE = 1e-3
"""Of l2-normalised features; keeps a single example from being infinitely sure."""
