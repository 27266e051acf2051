"""How well the stream is predicted before it is learned."""

from collections import Counter, deque
from collections.abc import Iterable

WINDOW = 1_000


class Prequential:
    """
    Prequential evaluation over a sliding window: every label is first predicted, then learned.

    Gama, Sebastião & Rodrigues 2013, "On evaluating stream learning algorithms".

    Args:
        history: Label and prediction of the last labels, oldest first; None: nothing was predicted,
            which counts as wrong.
        window: How many labels count.
    """

    def __init__(
        self, history: Iterable[tuple[str, str | None]] = (), window: int = WINDOW
    ) -> None:
        self._last: deque[tuple[str, str | None]] = deque(history, maxlen=window)

    def add(self, label: str, predicted: str | None) -> None:
        """Note what was predicted for a label."""
        self._last.append((label, predicted))

    def accuracy(self) -> float | None:
        """The share of right predictions; None before the first."""
        if not self._last:
            return None
        return sum(label == predicted for label, predicted in self._last) / len(self._last)

    def recall(self) -> dict[str, float]:
        """The share of right predictions among the labels of each class."""
        all_of = Counter(label for label, _ in self._last)
        right = Counter(label for label, predicted in self._last if label == predicted)
        return {label: right[label] / count for label, count in all_of.items()}
