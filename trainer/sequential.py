"""
Two releases on the same labels: is one shown not to be worse, or to be worse? Pure.

Every label gives a pair of outcomes. What counts is the difference: 1 where only the new release is
right, -1 where only the old one is, else 0. Both questions are tested by betting: capital grows with
every label that speaks against a hypothesis, and where the hypothesis holds it reaches 1 / `error` only
with the chance `error` (Ville 1939). So it may be looked at after every label, and one may stop at any
time (Waudby-Smith & Ramdas 2023, "Estimating means of bounded random variables by betting"). The bet is
a mixture of fixed ones, so that the capital follows from three counts.
"""

from typing import Literal

import msgspec
import numpy as np

Verdict = Literal["better", "worse", "open"]

_BETS = np.geomspace(0.01, 0.9, 24)


class Pairs(msgspec.Struct, frozen=True):
    """
    Labels that two releases answered.

    Attributes:
        wins: Only the new one was right.
        losses: Only the old one was.
        ties: Both were right, or both wrong.
    """

    wins: int = 0
    losses: int = 0
    ties: int = 0

    def __add__(self, other: "Pairs") -> "Pairs":
        return Pairs(self.wins + other.wins, self.losses + other.losses, self.ties + other.ties)

    @property
    def labels(self) -> int:
        """How many there are."""
        return self.wins + self.losses + self.ties

    @property
    def difference(self) -> float:
        """By how much the new one is more accurate, from -1 to 1; 0 before the first label."""
        return (self.wins - self.losses) / max(1, self.labels)


def verdict(pairs: Pairs, margin: float, promotion_error: float, rollback_error: float) -> Verdict:
    """
    Judge the new release.

    Args:
        pairs: What came, up to now.
        margin: So much less accurate it may be, in (0, 1).
        promotion_error: The chance of ever calling one better that is worse by `margin` or more.
        rollback_error: The chance of ever calling one worse that is not.

    Returns:
        `better`: it is less than `margin` worse, if at all. `worse`: it is. `open`: not known yet.
        Of a release that is between the two, either may be said.
    """
    if capital(pairs, 0.0, down=True) >= 1 / rollback_error:
        return "worse"
    return "better" if capital(pairs, margin, down=False) >= 1 / promotion_error else "open"


def capital(pairs: Pairs, margin: float, down: bool) -> float:
    """
    What was won by betting, from a capital of 1.

    Args:
        pairs: What came.
        margin: The hypothesis is that the new release is worse by it, or more.
        down: The hypothesis is instead that it is not worse than by it.
    """
    counts = np.array([pairs.wins, pairs.losses, pairs.ties])
    gains = np.array([1.0, -1.0, 0.0]) + margin
    factors = 1 + np.outer(_BETS, -gains if down else gains)  # (bets, outcomes)
    return float(np.exp(np.minimum(np.log(factors) @ counts, 700)).mean())
