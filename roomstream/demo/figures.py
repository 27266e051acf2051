"""The arithmetic of a demo's report."""

from collections.abc import Sequence
from statistics import fmean


def quarter_accuracies(judged: Sequence[bool]) -> tuple[float | None, float | None]:
    """
    The share of right answers in the first and in the last quarter.

    Returns:
        Two shares in [0, 1]; None where there are fewer than four answers to judge.
    """
    size = len(judged) // 4
    if size == 0:
        return None, None
    return fmean(judged[:size]), fmean(judged[-size:])


def rolling_accuracy(judged: Sequence[bool], window: int = 200) -> float | None:
    """The share of right answers among the newest."""
    return fmean(judged[-window:]) if judged else None


class SummedCounter:
    """Adds up a counter that starts again from zero whenever its process does."""

    def __init__(self) -> None:
        self.total = 0.0
        self._last = 0.0

    def update(self, value: float) -> None:
        """Take a reading."""
        self.total += value - self._last if value >= self._last else value
        self._last = value
