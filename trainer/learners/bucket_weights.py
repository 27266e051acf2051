"""Weights of buckets, with a row for each bucket that was seen."""

from collections.abc import Iterator, Mapping
from typing import Self

import numpy as np
from numpy.typing import NDArray

from trainer.learners.ngrams import BUCKETS, Buckets

Rows = NDArray[np.int32]

_EPSILON = 1e-8
"""Keeps a weight whose gradient always was 0 from being divided by 0."""


def adagrad(
    gradient: NDArray[np.float64], squares: NDArray[np.float64], rate: float
) -> NDArray[np.float64]:
    """
    Compute a step of AdaGrad.

    Duchi, Hazan & Singer 2011, "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization".

    Args:
        gradient: Of the loss.
        squares: The sum of the squares of all gradients, this one included; of the same shape.
        rate: The step of a weight whose first gradient it is.

    Returns:
        What to subtract from the weights.
    """
    step: NDArray[np.float64] = rate * gradient / (np.sqrt(squares) + _EPSILON)
    return step


class BucketWeights:
    """
    A matrix (buckets, classes) of which only the rows of buckets that were seen exist.

    Rows come in the order in which their buckets were first seen: those that change most are
    together, in memory as in the database.

    Attributes:
        index: The row of each bucket, int32 (BUCKETS,); 0 for one that was not seen.
    """

    def __init__(self, classes: int = 0) -> None:
        self.index = np.zeros(BUCKETS, np.int32)
        self._buckets = np.zeros(1, np.int32)  # (room,), the bucket of each row; row 0 has none
        self._weights = np.zeros((1, classes), np.float32)  # (room, classes)
        self._squares = np.zeros((1, classes), np.float32)  # (room, classes), of past gradients
        self._changed = np.zeros(1, np.bool_)  # (room,)
        self._used = 1

    @property
    def rows(self) -> NDArray[np.float32]:
        """The weights, float32 (rows, classes); row 0 is zeros."""
        return self._weights[: self._used]

    def add_class(self) -> None:
        """Make room for another class, whose weights are 0."""
        self._weights = np.pad(self._weights, ((0, 0), (0, 1)))
        self._squares = np.pad(self._squares, ((0, 0), (0, 1)))

    def make_rows(self, buckets: Buckets) -> Rows:
        """Return the rows of different buckets, after making those that are missing."""
        new = buckets[self.index[buckets] == 0]
        end = self._used + len(new)
        self._make_room(end)
        self.index[new] = np.arange(self._used, end)
        self._buckets[self._used : end] = new
        self._used = end
        return self.index[buckets]

    def descend(self, rows: Rows, gradient: NDArray[np.float64], rate: float) -> None:
        """Take a step of AdaGrad against a gradient (rows, classes) of different rows."""
        squares = self._squares[rows] + gradient**2
        self._squares[rows] = squares
        self._weights[rows] -= adagrad(gradient, squares, rate)
        self._changed[rows] = True

    def state(self) -> dict[str, bytes]:
        """Every row as a part: see `_parts`."""
        return dict(self._parts(np.arange(1, self._used)))

    def changes(self) -> dict[str, bytes]:
        """The parts that differ from those at the last call."""
        rows = np.flatnonzero(self._changed)
        self._changed[rows] = False
        return dict(self._parts(rows))

    @classmethod
    def from_state(cls, classes: int, parts: Mapping[str, bytes]) -> Self:
        """Resume from `state()`."""
        table = cls(classes)
        table._make_room(len(parts) + 1)
        table._used = len(parts) + 1
        by_size: dict[int, list[str]] = {}
        for name, part in parts.items():
            by_size.setdefault(len(part), []).append(name)
        for names in by_size.values():
            rows = np.array(names, np.int32)
            words = np.frombuffer(b"".join(parts[name] for name in names), np.int32)
            words = words.reshape(len(names), -1)
            numbers = words[:, 1:].view(np.float32)  # weights, then squares
            width = numbers.shape[1] // 2
            table._buckets[rows] = words[:, 0]
            table._weights[rows, :width] = numbers[:, :width]
            table._squares[rows, :width] = numbers[:, width:]
        table.index[table._buckets[1 : table._used]] = np.arange(1, table._used)
        return table

    def _parts(self, rows: NDArray[np.intp]) -> Iterator[tuple[str, bytes]]:
        """
        Write rows: the bucket as int32, then weights and squares, float32 each.

        Classes at the end that say nothing yet are left out, so that a class that is added changes no
        part.
        """
        says = (self._squares[rows] > 0) | (self._weights[rows] != 0)
        widths = (says * np.arange(1, says.shape[1] + 1)).max(axis=1, initial=0).tolist()
        for row, width in zip(rows.tolist(), widths, strict=True):
            weights, squares = self._weights[row, :width], self._squares[row, :width]
            bucket = self._buckets[row : row + 1]
            yield f"{row:05}", bucket.tobytes() + weights.tobytes() + squares.tobytes()

    def _make_room(self, rows: int) -> None:
        """Grow, at least twofold, so that growing costs little however often a row is added."""
        room = len(self._buckets)
        if rows > room:
            more = max(rows, 2 * room) - room
            self._buckets = np.pad(self._buckets, (0, more))
            self._changed = np.pad(self._changed, (0, more))
            self._weights = np.pad(self._weights, ((0, more), (0, 0)))
            self._squares = np.pad(self._squares, ((0, more), (0, 0)))
