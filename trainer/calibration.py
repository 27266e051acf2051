"""What is done to a learner's logits before they are served: prior correction and temperature."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from trainer.evaluation import LEAST_PROBABILITY, Answers, Figures, Truth

COLDEST, HOTTEST = 0.05, 20.0
DOUBTED_LABELS = 100
NEGLIGIBLE = 1e-9
DOUBT = 0.5
"""How far the log of a temperature is expected to be from 0, before any listing is seen."""


class Seen(NamedTuple):
    """
    The labels of a class that were learned.

    Attributes:
        label: The class.
        labels: How many there are.
        listings: How many listings of the stream they stand for: the sum of 1 / propensity (Horvitz &
            Thompson 1952), where a label without one stands for itself.
        squares: The sum of the squares of 1 / propensity.
    """

    label: str
    labels: int
    listings: float
    squares: float


def stream_shares(seen: Sequence[Seen]) -> dict[str, float]:
    """
    How common each class is in the stream, where labels may be given to chosen listings.

    Few labels with a low propensity stand for many listings, which makes shares jump. So they are drawn
    towards the shares of the labels, as by 100 labels more, against the effective number of labels
    (Kish 1965).
    """
    labels, listings = sum(each.labels for each in seen), sum(each.listings for each in seen)
    if not labels:
        return {}
    effective = listings**2 / sum(each.squares for each in seen)
    trust = effective / (effective + DOUBTED_LABELS)
    return {
        each.label: trust * each.listings / listings + (1 - trust) * each.labels / labels
        for each in seen
    }


def prior_correction(seen: Sequence[Seen]) -> dict[str, float]:
    """
    What a learner's logits lack where its labels are not as common as the stream's listings.

    Log of the stream's share over the labels' share (Saerens, Latinne & Decaestecker 2002); nothing
    where every label has the same propensity, or none.
    """
    shares = stream_shares(seen)
    labels = sum(each.labels for each in seen)
    corrections = {each.label: math.log(shares[each.label] * labels / each.labels) for each in seen}
    return {label: by for label, by in corrections.items() if abs(by) > NEGLIGIBLE}


@dataclass(frozen=True)
class Calibration:
    """
    Turns logits into those that are served: (logits + correction) / temperature.

    Attributes:
        temperature: Over 1 where the learner is too sure of itself, under 1 where it doubts too much.
        correction: Added to the logits, one a class: log of the stream's share over the labels' share.
    """

    temperature: float
    correction: Figures

    def apply(self, logits: Figures) -> Figures:
        """The logits that are served: float64 (listings, classes)."""
        served: Figures = (logits + self.correction) / self.temperature
        return served

    def prior(self, learned: Sequence[float]) -> list[float]:
        """What the learner's class prior becomes."""
        if not self.correction.any():
            return list(learned)
        shares = np.asarray(learned) * np.exp(self.correction)
        corrected: list[float] = (shares / shares.sum()).tolist()
        return corrected


def calibrate(
    classes: Sequence[str], logits: Figures, truth: Truth, correction: Mapping[str, float]
) -> Calibration:
    """
    Fit the temperature to a hold-out, after the correction of the prior.

    Temperature scaling: Guo et al. 2017. Of few listings the best temperature is often extreme, so
    its log has a normal prior around 0 with a deviation of 0.5, which hundreds of listings outweigh.

    Args:
        classes: The learner's, in the order of its logits.
        logits: float64 (listings, classes).
        truth: What the listings are.
        correction: Added to the logits of a class; 0 for one that is not named.
    """
    shift = np.array([correction.get(label, 0.0) for label in classes])
    shifted = logits + shift

    def loss(log_temperature: float) -> float:
        scores = log_softmax(shifted / np.exp(log_temperature), axis=1)
        of_truth = Answers(classes, np.exp(scores)).of(truth)
        losses = -np.log(np.maximum(of_truth, LEAST_PROBABILITY))
        return float(truth.weights @ losses + (log_temperature / DOUBT) ** 2 / 2)

    if not len(truth):
        return Calibration(1.0, shift)
    bounds = (np.log(COLDEST), np.log(HOTTEST))
    best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-3})
    return Calibration(float(np.exp(best.x)), shift)
