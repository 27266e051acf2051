"""How good answers are: figures of a release on listings that it never learned. Pure numpy."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Figures = NDArray[np.float64]
Flags = NDArray[np.bool_]

BINS = 15
RESAMPLES = 1_000
LEAST_PROBABILITY = 1e-7
"""What log loss takes for a class that a release gives no chance, or does not know."""


@dataclass(frozen=True)
class Truth:
    """
    What the listings of a hold-out are.

    Attributes:
        labels: One a listing.
        weights: How many listings of the stream each stands for, mean 1, float64 (listings,).
    """

    labels: Sequence[str]
    weights: Figures

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of(cls, labels: Sequence[str], shares: Mapping[str, float] | None = None) -> "Truth":
        """
        Weight listings so that their classes are as common as in the stream.

        A rare class has more listings in a stratified hold-out than its share (post-stratification:
        Holt & Smith 1979).

        Args:
            labels: One a listing.
            shares: The stream's share of each class; None: the hold-out's own.
        """
        if not shares or not labels:
            return cls(labels, np.ones(len(labels)))
        classes, places = _numbered(labels)
        rarest = min(share for share in shares.values() if share > 0)
        of_classes = np.array([shares.get(name) or rarest for name in classes])
        weights = (of_classes / np.bincount(places))[places]
        return cls(labels, weights / weights.mean())


@dataclass(frozen=True)
class Answers:
    """
    What a release says of listings.

    Attributes:
        classes: The labels, in the order of the columns.
        probabilities: float (listings, classes).
    """

    classes: Sequence[str]
    probabilities: Floats

    @property
    def said(self) -> list[str]:
        """The most probable label of each listing."""
        return [self.classes[index] for index in self.probabilities.argmax(axis=1)]

    @property
    def confidence(self) -> Figures:
        """The probability of what is said: float64 (listings,)."""
        highest: Figures = self.probabilities.max(axis=1, initial=0.0).astype(np.float64)
        return highest

    def right(self, truth: Truth) -> Flags:
        """Which answers are right."""
        return agree(self.said, truth.labels)

    def of(self, truth: Truth) -> Figures:
        """The probability of each listing's true label; 0 for a class that the release does not know."""
        columns = _columns(self.classes, truth.labels)
        found = self.probabilities[np.arange(len(truth)), columns].astype(np.float64)
        return np.where(columns >= 0, found, 0.0)


def agree(said: Sequence[str], labels: Sequence[str]) -> Flags:
    """Which of the labels are what was said: bool (listings,)."""
    return np.array([one == other for one, other in zip(said, labels, strict=True)], dtype=bool)


def mean(values: Figures | Flags, truth: Truth) -> float:
    """The mean over the stream of a value per listing; 0 over none."""
    return float(np.average(values, weights=truth.weights)) if len(truth) else 0.0


def share_by(groups: Sequence[str], right: Flags) -> dict[str, tuple[float, int]]:
    """The share of right answers in each group of listings, and how many listings it has."""
    names, places = _numbered(groups)
    counts = np.bincount(places, minlength=len(names))
    shares = np.bincount(places, weights=right, minlength=len(names)) / np.maximum(1, counts)
    return dict(zip(names, zip(shares.tolist(), counts.tolist(), strict=True), strict=True))


def macro_f1(said: Sequence[str], truth: Truth) -> float:
    """The mean of F1 over the classes of the truth; a class that is only said counts by its errors."""
    if not len(truth):
        return 0.0
    names, places = _numbered([*truth.labels, *said])
    of_truth, of_said = places[: len(truth)], places[len(truth) :]

    def totals(of: NDArray[np.intp], rows: Flags | slice = slice(None)) -> Figures:
        sums: Figures = np.bincount(of[rows], truth.weights[rows], len(names)).astype(np.float64)
        return sums

    hits = totals(of_truth, of_truth == of_said)
    f1 = 2 * hits / (totals(of_truth) + totals(of_said))
    return float(f1[np.unique(of_truth)].mean())


def losses(answers: Answers, truth: Truth) -> Figures:
    """The negative log probability of each listing's true label, in nats: float64 (listings,)."""
    found: Figures = -np.log(np.maximum(answers.of(truth), LEAST_PROBABILITY))
    return found


def log_loss(answers: Answers, truth: Truth) -> float:
    """The mean of `losses`."""
    return mean(losses(answers, truth), truth)


def calibration_error(confidence: Figures, right: Flags, truth: Truth) -> float:
    """
    The expected calibration error (ECE) over 15 bins of equal width, in [0, 1].

    Guo, Pleiss, Sun & Weinberger 2017, "On Calibration of Modern Neural Networks".
    """
    if not len(truth):
        return 0.0
    gaps = (confidence - right) * truth.weights
    of_bins = np.bincount(_bins(confidence), weights=gaps, minlength=BINS)
    return float(np.abs(of_bins).sum() / truth.weights.sum())


class Bootstrap:
    """
    Resamples of a hold-out, drawn once, so that everything compared on them is paired.

    Efron & Tibshirani 1993, "An Introduction to the Bootstrap", percentile intervals.

    Args:
        truth: The hold-out, one listing at least.
    """

    def __init__(self, truth: Truth) -> None:
        self._weights = _resamples(len(truth)) * truth.weights.astype(np.float32)
        self._totals = self._sums(np.ones(len(truth)))

    def means(self, values: Figures | Flags) -> Figures:
        """The mean of a value per listing in every resample: float64 (resamples,)."""
        return self._sums(values) / self._totals

    def calibration_errors(self, confidence: Figures, right: Flags) -> Figures:
        """The ECE in every resample: float64 (resamples,)."""
        gaps = np.zeros((len(confidence), BINS), np.float32)
        gaps[np.arange(len(confidence)), _bins(confidence)] = confidence - right
        errors: Figures = np.abs(self._weights @ gaps).sum(axis=1, dtype=np.float64)
        return errors / self._totals

    def macro_f1(self, said: Sequence[str], truth: Truth) -> Figures:
        """The mean of F1 over the classes that a resample has, in every one: float64 (resamples,)."""
        names, places = _numbered([*truth.labels, *said])
        of_truth, of_said = (
            np.eye(len(names), dtype=np.float32)[half]  # (listings, classes)
            for half in (places[: len(truth)], places[len(truth) :])
        )
        hits, there, answered = (
            self._weights @ each for each in (of_truth * of_said, of_truth, of_said)
        )
        f1 = 2 * hits / np.maximum(there + answered, np.finfo(np.float32).tiny)
        found: Figures = f1.sum(axis=1, where=there > 0, dtype=np.float64) / (there > 0).sum(axis=1)
        return found

    def _sums(self, values: Figures | Flags) -> Figures:
        sums: Figures = (self._weights @ values.astype(np.float32)).astype(np.float64)
        return sums


def interval(resampled: Figures, level: float = 0.95) -> tuple[float, float]:
    """The percentile interval of a figure that was computed on resamples."""
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@functools.lru_cache(maxsize=2)
def _resamples(items: int) -> NDArray[np.float32]:
    """How often each item is in each resample, always the same: float32 (resamples, items)."""
    drawn = np.random.default_rng(0).integers(0, items, (RESAMPLES, items), dtype=np.int32)
    drawn += np.arange(RESAMPLES, dtype=np.int32)[:, None] * items
    counts = np.bincount(drawn.ravel(), minlength=RESAMPLES * items)
    return counts.astype(np.float32).reshape(RESAMPLES, items)


def _bins(confidence: Figures) -> NDArray[np.intp]:
    """The bin of each confidence: (0, 1/15] is the first, (14/15, 1] the last."""
    edges = np.linspace(0, 1, BINS + 1)[1:-1]
    return np.digitize(confidence, edges, right=True)


def _numbered(names: Sequence[str]) -> tuple[list[str], NDArray[np.intp]]:
    """The distinct names in order, and the place of each name among them."""
    distinct = sorted(set(names))
    return distinct, _columns(distinct, names)


def _columns(classes: Sequence[str], labels: Sequence[str]) -> NDArray[np.intp]:
    """The column of each label; -1 where there is none."""
    column = {label: index for index, label in enumerate(classes)}
    return np.array([column.get(label, -1) for label in labels], dtype=np.intp)
