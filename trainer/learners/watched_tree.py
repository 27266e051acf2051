"""Trees that watch how often their leaves are right."""

from collections.abc import Iterator

import msgspec
import numpy as np

from trainer.learners.id3 import LEAF, Node, Vector
from trainer.learners.trees import Grown

_DELTA = 0.01  # how probable it may be that a leaf seems to have changed, and has not


class Watched(msgspec.Struct, eq=False):
    """
    A node.

    Attributes:
        totals: How often each class was among what a leaf was grown from, and came since, (classes,).
        since: So many examples had come before the first that it may be grown from.
        looked: So many had come when it was grown, or last looked at.
        due: It is looked at when so many labels have come since.
        trust: How often it would have been right about what it was grown from.
        right: How many labels that came since it was looked at it foretold …
        watched: … out of how many.
        column: The flag that it asks; `LEAF` at a leaf.
        off: The node of those that have not got it.
        on: The node of those that have.
    """

    totals: list[float]
    since: int
    looked: int
    due: float
    trust: float = 0.0
    right: float = 0.0
    watched: float = 0.0
    column: int = LEAF
    off: "Watched | None" = None
    on: "Watched | None" = None

    def guess(self) -> int:
        """The class that is likeliest here."""
        return int(np.argmax(self.totals))

    def watch(self, shares: Vector) -> None:
        """See how right it is about labels that come, and count them."""
        coming = shares.sum(axis=0)
        self.right += float(coming[self.guess()])
        self.watched += float(coming.sum())
        self.totals = (self.totals + coming).tolist()

    def is_due(self) -> bool:
        """Whether so many labels came that it is looked at."""
        return self.watched >= self.due

    def is_weak(self, weak: float) -> bool:
        """Whether it was too often wrong since."""
        return self.right <= weak * self.watched

    def has_changed(self) -> bool:
        """Whether it is more often wrong than it was, by more than chance allows (Hoeffding bound)."""
        chance = np.sqrt(np.log(1 / _DELTA) / (2 * self.watched))
        return bool(self.right / self.watched + chance < self.trust)

    def become(self, other: "Watched") -> None:
        """Be as another node is."""
        for field in self.__struct_fields__:
            setattr(self, field, getattr(other, field))

    def leaves(self) -> Iterator["Watched"]:
        """Those below it, or itself."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            if node.off is None or node.on is None:
                yield node
            else:
                waiting += [node.off, node.on]

    def size(self) -> int:
        """How many nodes there are: a leaf more than others."""
        return 2 * sum(1 for _ in self.leaves()) - 1

    def grown(self) -> Grown:
        """The tree as a head knows it."""
        if self.off is None or self.on is None:
            return Grown(np.array(self.totals))
        off, on = self.off.grown(), self.on.grown()
        return Grown(off.counts + on.counts, self.column, 0.5, off, on)

    @classmethod
    def of(cls, node: Node, since: int, came: int, due: float) -> "Watched":
        """
        A tree of ID3 to which nothing has come yet.

        Args:
            node: Its root.
            since: So many examples had come before those that it was grown from.
            came: So many have come.
            due: A leaf is looked at when so many labels have come to it.
        """
        totals = node.counts.totals
        new = cls(totals.tolist(), since, came, due)
        new.trust = float(totals.max() / totals.sum()) if totals.any() else 0.0
        if node.off is not None and node.on is not None:
            new.column = node.column
            new.off = cls.of(node.off, since, came, due)
            new.on = cls.of(node.on, since, came, due)
        return new
