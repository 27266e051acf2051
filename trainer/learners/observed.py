"""What a leaf of a Hoeffding tree has seen of numbers and flags, and how it would split."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from trainer.learners.id3 import xlogx

Vector = NDArray[np.float64]
Array = NDArray[np.float64]

CUTS = 10  # thresholds tried, evenly between the least and the largest number, as river does
LEAST_BRANCH = 0.01  # a split leaves more than this share on both sides, as river does


class Proposal(NamedTuple):
    """
    A split, and what it is worth.

    Attributes:
        merit: The information gained, in bits; -inf where nothing can be split.
        column: What is asked.
        threshold: Whether it is above this.
        sides: How much of each class is not, and is: float64 (2, classes).
    """

    merit: float
    column: int
    threshold: float
    sides: Array


class Observed:
    """
    A Gaussian of every number in every class, and counts of every flag in every class.

    It is river's GaussianSplitter for all numbers at once, in microseconds a label; flags are exact.

    Args:
        classes: How many there are.
        numbers: So many of the values come first and are numbers …
        flags: … and so many are flags, 0 or 1.

    Attributes:
        counts: Weight of each class, float64 (classes,).
        moments: Mean, sum of squared deviations, least and largest: float64 (4, classes, numbers).
        on: Weight of each flag, float64 (classes, flags).
    """

    def __init__(self, classes: int, numbers: int, flags: int) -> None:
        self.counts: Vector = np.zeros(classes)
        self.moments: Array = np.zeros((4, classes, numbers))
        self.moments[2], self.moments[3] = np.inf, -np.inf
        self.on: Array = np.zeros((classes, flags))

    def add(self, values: Vector, place: int, weight: float) -> None:
        """See a label: its values, float64 (numbers + flags,), and the place of its class."""
        if place >= len(self.counts):
            self._widen(place + 1)
        mean, scatter, least, most = self.moments[:, place]
        numbers, flags = np.split(values, [len(mean)])
        self.counts[place] += weight
        before = numbers - mean
        mean += before * (weight / self.counts[place])
        scatter += weight * before * (numbers - mean)
        np.minimum(least, numbers, out=least)
        np.maximum(most, numbers, out=most)
        self.on[place] += weight * flags

    def proposals(self, totals: Vector) -> list[Proposal]:
        """
        The best splits of the two columns that are best, the better one last.

        Args:
            totals: The weight of each class at the leaf, (classes,), what it began with included.
        """
        thresholds = self._thresholds()
        below = self._below(thresholds)  # (cuts, classes, numbers)
        merits = _merits(below, self.counts[:, None] - below, totals)
        merits[~np.isfinite(thresholds)] = -np.inf
        cut = merits.argmax(axis=0)  # (numbers,)
        flagged = _merits(self.counts[:, None] - self.on, self.on, totals)
        best = np.append(np.take_along_axis(merits, cut[None], axis=0)[0], flagged)
        found = []
        for column in np.argsort(best, kind="stable")[-2:].tolist():
            flag = column - len(cut)
            if flag >= 0:
                threshold, sides = 0.5, (self.counts - self.on[:, flag], self.on[:, flag])
            else:
                threshold = float(thresholds[cut[column], column])
                under = below[cut[column], :, column]
                sides = (under, self.counts - under)
            found.append(Proposal(float(best[column]), column, threshold, np.stack(sides)))
        return found

    def _thresholds(self) -> Array:
        """Those to try for each number, (cuts, numbers); not finite where all are the same."""
        least, most = self.moments[2].min(axis=0), self.moments[3].max(axis=0)
        steps = np.arange(1, CUTS + 1)[:, None] * ((most - least) / (CUTS + 1.0))
        thresholds = least + steps
        return np.where((thresholds > least) & (thresholds < most), thresholds, np.nan)

    def _below(self, thresholds: Array) -> Array:
        """How much of each class is not above thresholds, by its Gaussian: (cuts, classes, numbers)."""
        mean, scatter, least, most = self.moments
        counts = self.counts[:, None]
        deviation = np.sqrt(scatter / np.maximum(counts - 1, 1e-9))
        at = thresholds[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = ndtr((at - mean) / deviation)
        share = np.where(at < least, 0.0, np.where(at >= most, 1.0, np.nan_to_num(share)))
        below: Array = share * counts
        return below

    def _widen(self, classes: int) -> None:
        more = classes - len(self.counts)
        wider = Observed(more, self.moments.shape[2], self.on.shape[1])
        self.counts = np.append(self.counts, wider.counts)
        self.moments = np.concatenate([self.moments, wider.moments], axis=1)
        self.on = np.concatenate([self.on, wider.on])


def _merits(below: Array, above: Array, totals: Vector) -> Array:
    """The information in bits that splits gain; -inf where a side has too little: (..., columns)."""
    count_below, count_above = below.sum(axis=-2), above.sum(axis=-2)
    count, total = count_below + count_above, totals.sum()
    left = xlogx(count_below) - xlogx(below).sum(axis=-2)
    left = left + xlogx(count_above) - xlogx(above).sum(axis=-2)
    before = (xlogx(total) - xlogx(totals).sum()) / total
    least = np.minimum(count_below, count_above) > LEAST_BRANCH * count
    gained = (before - left / np.maximum(count, 1e-9)) / np.log(2)
    merits: Array = np.where(least, gained, -np.inf)
    return merits
