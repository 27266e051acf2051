"""Which answers people are asked about, and with which probability. Pure: no clock, no own chance."""

import math
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from artefacts.classifier import Prediction
from artefacts.graphs import Floats
from schemas.events import InputPosition
from workers.draws import draw

Entropies = NDArray[np.float64]
"""In nats, (answers,)."""

RECENT = 1000
"""An answer is compared with so many before it."""

STEP = 0.1
"""An answer that is asked about lowers the share that counts as uncertain by this part of the budget."""

_DECIMALS = 3  # of an entropy: the last bits of scores depend on the padding


class Ask(NamedTuple):
    """
    A person should look at an answer.

    Attributes:
        reason: The rule that chose it.
        propensity: The probability with which any rule chooses it.
    """

    reason: Literal["uncertain", "random"]
    propensity: float


class EntropyBudget:
    """
    Asks about the most uncertain answers, a given share of all, whatever scores come.

    An answer is uncertain if its entropy is among the highest share of the recent ones, itself
    included; among equal ones chance decides (smoothed ranks: Vovk, Gammerman & Shafer 2005). That share
    is the budget at first and then follows what was asked: it falls with every answer that is, and
    rises with every one that is not (adaptive conformal inference: Gibbs & Candès 2021). So, of any
    stream, no more than the budget's share of the answers and 11 are asked about in expectation, and
    what certain times leave is spent when there is doubt again.

    Args:
        budget: The share of answers to ask about, in [0, 1].
    """

    def __init__(self, budget: float) -> None:
        self._budget = budget
        self._share = budget
        self._in_time: deque[float] = deque()
        self._sorted: list[float] = []

    @property
    def threshold(self) -> float:
        """Answers above this entropy, in nats, count as uncertain now; not a number before the first."""
        if not self._sorted:
            return math.nan
        last = len(self._sorted) - 1
        return self._sorted[last - min(last, max(0, int(self._share * len(self._sorted))))]

    def chances(self, entropies: Entropies) -> list[float]:
        """
        With which probability to ask about each of some answers. They count as recent from now on.

        Each depends on those before it, so that it makes no difference where a window ends.
        """
        return [self._chance(each) for each in entropies.round(_DECIMALS).tolist()]

    def _chance(self, entropy: float) -> float:
        first, last = bisect_left(self._sorted, entropy), bisect_right(self._sorted, entropy)
        above, alike = len(self._sorted) - last, last - first + 1
        uncertain = self._share * (len(self._sorted) + 1)
        chance = min(1.0, max(0.0, (uncertain - above) / alike))
        self._share += STEP * self._budget * (self._budget - chance)
        self._sorted.insert(last, entropy)
        self._in_time.append(entropy)
        if len(self._in_time) > RECENT:
            del self._sorted[bisect_left(self._sorted, self._in_time.popleft())]
        return chance


class Review:
    """
    Chooses the answers that people are asked about.

    Args:
        share: The share of all that are asked about at random, whatever the scores.
        budget: The share that is asked about for its uncertainty; None: every answer under the
            release's threshold, however many there are.
    """

    def __init__(self, share: float, budget: float | None = None) -> None:
        self._random = share
        self._budget = None if budget is None else EntropyBudget(budget)

    @property
    def threshold(self) -> float:
        """Answers above this entropy, in nats, count as uncertain now; not a number without a budget."""
        return self._budget.threshold if self._budget else math.nan

    def chances(
        self, predictions: Sequence[Prediction], probabilities: Floats, review_below: float
    ) -> list[float]:
        """
        With which probability each answer is asked about for its uncertainty.

        Args:
            predictions: Of one release, in the order of their inputs.
            probabilities: The same, (answers, classes).
            review_below: The release's threshold of confidence.
        """
        if self._budget:
            return self._budget.chances(entropies(probabilities))
        return [float(each.confidence < review_below) for each in predictions]

    def ask(self, position: InputPosition, chance: float) -> Ask | None:
        """
        Whether to ask, by two independent draws: the random share is drawn of all answers.

        Args:
            position: Of the input, which the draws depend on.
            chance: With which probability it is asked about for its uncertainty.
        """
        propensity = chance + (1 - chance) * self._random
        if chance == 1 or (chance and draw(position, b"uncertain") < chance):
            return Ask("uncertain", propensity)
        return Ask("random", propensity) if draw(position) < self._random else None


def entropies(probabilities: Floats) -> Entropies:
    """The entropy of each row in nats: float64 (rows,)."""
    rows = probabilities.astype(np.float64)
    found: Entropies = -(rows * np.log(np.maximum(rows, np.finfo(np.float64).tiny))).sum(axis=1)
    return found
