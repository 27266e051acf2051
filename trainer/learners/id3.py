"""ID3: which flag tells most of the classes, and the tree that asks it first."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from trainer.learners.flags import Bits
from trainer.learners.trees import Grown

Vector = NDArray[np.float64]
Table = NDArray[np.float64]
Rows = NDArray[np.intp]

LEAF = -1

EVIDENCE = 18.0
"""
The least G for which a node asks. One useless flag in 45,000 tells as much of two classes by chance, one
in 8,000 of three; there are about 1,000 flags.
"""

_DECIMALS = 6  # of G: flags that differ by less tell the same, and the first of them is taken
_PARTS = 1_024


@dataclass(frozen=True)
class Sample:
    """
    Labelled examples.

    Attributes:
        flags: bool (examples, flags).
        shares: The weight of each in the column of its class, float64 (examples, classes).
    """

    flags: Bits
    shares: Vector

    @classmethod
    def of(cls, flags: Bits, places: Rows, weights: Vector, classes: int) -> "Sample":
        """Put them together; weights in 1024ths, so that their sums are exact in any order."""
        shares = np.zeros((len(places), classes))
        shares[np.arange(len(places)), places] = np.maximum(1, np.rint(weights * _PARTS)) / _PARTS
        return cls(flags, shares)

    def __len__(self) -> int:
        return len(self.flags)

    def at(self, rows: Rows) -> "Sample":
        """Some of them."""
        return Sample(self.flags[rows], self.shares[rows])


class Counts:
    """
    How often each class came, and each flag in it: all that ID3 wants to know of examples.

    Attributes:
        totals: float64 (classes,).
        on: float64 (classes, flags).
    """

    __slots__ = ("on", "totals")

    def __init__(self, totals: Vector, on: Table) -> None:
        self.totals = totals
        self.on = on

    @classmethod
    def of(cls, examples: Sample) -> "Counts":
        """Count examples."""
        shares = examples.shares
        return cls(shares.sum(axis=0), shares.T @ examples.flags)

    @classmethod
    def none(cls, classes: int, flags: int) -> "Counts":
        """Of nothing."""
        return cls(np.zeros(classes), np.zeros((classes, flags)))

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.totals + other.totals, self.on + other.on)

    def __sub__(self, other: "Counts") -> "Counts":
        return Counts(self.totals - other.totals, self.on - other.on)

    def widened(self) -> "Counts":
        """With room for another class."""
        return Counts(np.append(self.totals, 0.0), np.pad(self.on, ((0, 1), (0, 0))))

    def evidence(self) -> Vector:
        """
        How much each flag tells of the classes: G, float64 (flags,); 0 where all have it, or none.

        G = 2 count × information gain in nats: distributed as chi-square where a flag tells nothing.
        """
        on, off = self.on, self.totals[:, None] - self.on
        count, count_on = self.totals.sum(), on.sum(axis=0)
        told = (xlogx(on) + xlogx(off)).sum(axis=0) - xlogx(count_on) - xlogx(count - count_on)
        before = xlogx(self.totals).sum() - xlogx(count)
        live = (count_on > 0) & (count_on < count)
        evidence: Vector = np.where(live, np.maximum(0, 2 * (told - before)), 0)
        return np.round(evidence, _DECIMALS)

    def best(self, least: float) -> int:
        """The flag that tells most, the first of equals; `LEAF` where it tells less than `least`."""
        if np.count_nonzero(self.totals) < 2:
            return LEAF
        evidence = self.evidence()
        best = int(evidence.argmax())
        return best if evidence[best] >= max(least, 10.0**-_DECIMALS) else LEAF


class Node:
    """
    A node that knows the counts of what came to it.

    Attributes:
        counts: Of all examples below it.
        column: The flag that it asks; `LEAF` at a leaf, which has no children.
        off: The node of those that have not got it.
        on: The node of those that have.
    """

    __slots__ = ("column", "counts", "off", "on")

    def __init__(self, counts: Counts) -> None:
        self.counts = counts
        self.column = LEAF
        self.off: Node | None = None
        self.on: Node | None = None

    def nodes(self) -> Iterator["Node"]:
        """Itself and all below it."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += [child for child in (node.off, node.on) if child is not None]

    def widen(self) -> None:
        """Make room for another class, also in all nodes below it."""
        for node in self.nodes():
            node.counts = node.counts.widened()

    def grown(self, totals: Vector) -> Grown:
        """It and all below it, of which so many came: children as their parent counted them."""
        if self.off is None or self.on is None:
            return Grown(totals)
        on = self.counts.on[:, self.column]
        off = self.counts.totals - on
        return Grown(totals, self.column, 0.5, self.off.grown(off), self.on.grown(on))


def induce(examples: Sample, rows: Rows, least: float) -> Node:
    """
    Grow a tree from some examples: ID3 (Quinlan 1986, "Induction of Decision Trees").

    Args:
        examples: What they are of.
        rows: Theirs.
        least: A node asks only what tells so much (G).
    """
    root = Node(Counts.of(examples.at(rows)))
    waiting = [(root, rows)]
    while waiting:
        node, here = waiting.pop()
        node.column = node.counts.best(least)
        if node.column != LEAF:
            sides = split(here, examples.flags, node.column)
            node.off, node.on = (Node(Counts.of(examples.at(side))) for side in sides)
            waiting += zip((node.off, node.on), sides, strict=True)
    return root


def xlogx(counts: Vector | np.float64) -> Vector:
    """Each count times its natural logarithm; 0 at 0."""
    found: Vector = xlogy(counts, counts)
    return found


def split(rows: Rows, flags: Bits, column: int) -> tuple[Rows, Rows]:
    """Those of some rows that have not got a flag, and those that have."""
    has = flags[rows, column]
    return rows[~has], rows[has]
