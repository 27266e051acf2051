"""Gaenari: a tree that watches how often its leaves are right, and grows the weak ones anew."""

from collections.abc import Iterator

import msgspec
import numpy as np

from trainer.learners.flagged import Flagged
from trainer.learners.flags import CUTS, TOKENS
from trainer.learners.id3 import EVIDENCE, LEAF, Node, Rows, Sample, Vector, induce, split
from trainer.learners.instances import Instances
from trainer.learners.trees import Grown, Tree

INSTANCES = 4_000
NODES = 511
WEAK = 0.95
PATIENCE = 5.0

_MOST_PATIENCE = 100.0  # so that a change is seen soon also where nothing helped for long
_DELTA = 0.01  # how probable it may be that a leaf seems to have changed, and has not


class _Node(msgspec.Struct, eq=False):
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
    off: "_Node | None" = None
    on: "_Node | None" = None

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

    def become(self, other: "_Node") -> None:
        """Be as another node is."""
        for field in self.__struct_fields__:
            setattr(self, field, getattr(other, field))


class _Kept(msgspec.Struct, frozen=True):
    nodes: int
    weak: float
    patience: float
    evidence: float
    instances: bytes
    root: _Node


class Gaenari(Flagged):
    """
    Gaenari: leaves that are weak are grown anew from examples that were kept.

    After the gaenari project (https://github.com/greenfish77/gaenari): a leaf is weak where no more than
    95% of the labels that came since it was last looked at, 5 at least, were what it says (80% there);
    then a tree is grown in its place, and stays if it is right about more of the kept examples than the
    leaf was. Where that does not help, twice as many labels are waited for, up to 100.

    Otherwise than there, each weak leaf gets a tree of its own, from those that came to it, rather than
    all weak leaves one; examples are bounded, and the oldest leave; a tree splits only where that is
    significant (G). Where a leaf foretold the last labels worse than it was right about what it was grown
    from, by more than chance allows, and no tree explains all of them, one is grown from the last alone:
    the others are not so any more; but not while a single class comes, which is a burst of it and no
    change. A tree with more nodes than its bound is grown anew from all.

    Args:
        tokens: The bound of the vocabulary.
        cuts: The bound of cuts in features.
        instances: The bound of the examples that are kept.
        nodes: The bound of the tree.
        weak: A leaf that is no more often right is weak.
        patience: Labels that must have come to a leaf before it is looked at.
        evidence: The least G for which a node asks.

    Example:
        >>> from trainer.learners.base import Examples
        >>> learner = Gaenari(evidence=1)
        >>> listings = Examples(np.eye(2, dtype=np.float32), [[101, 7, 102], [101, 8, 102]])
        >>> for _ in range(5):
        ...     learner.learn(listings, ["Private room", "Shared room"])
        >>> learner.logits(listings).argmax(axis=1).tolist()
        [0, 1]
    """

    name = "gaenari"

    def __init__(
        self,
        tokens: int = TOKENS,
        cuts: int = CUTS,
        instances: int = INSTANCES,
        nodes: int = NODES,
        weak: float = WEAK,
        patience: float = PATIENCE,
        evidence: float = EVIDENCE,
    ) -> None:
        super().__init__(tokens, cuts)
        self._nodes = nodes
        self._weak = float(weak)
        self._patience = float(patience)
        self._evidence = float(evidence)
        self._instances = Instances(instances, self._flags.width)
        self._begin()

    def _begin(self) -> None:
        self._instances = Instances(self._instances.bound, self._flags.width)
        for _ in self._classes:
            self._instances.widen()
        self._root = self._sprout(np.arange(0), 0)

    def _add_class(self) -> None:
        self._instances.widen()
        for leaf in _leaves(self._root):
            leaf.totals.append(0.0)

    def _grow(self, examples: Sample) -> None:
        came = self._instances.add(examples.at(np.arange(len(examples))[-self._instances.bound :]))
        for leaf, rows in self._visited(self._root, came):
            leaf.watch(self._instances.kept.shares[rows])
        if any(leaf.is_due() for leaf in _leaves(self._root)):
            for leaf, rows in self._visited(self._root, self._instances.rows()):
                if leaf.is_due():
                    self._look(leaf, rows)
            self._bound()

    def _visited(self, root: _Node, rows: Rows) -> list[tuple[_Node, Rows]]:
        """The leaves of a tree that examples come to, with theirs."""
        found, waiting = [], [(root, rows)]
        while waiting:
            node, here = waiting.pop()
            if node.off is None or node.on is None:
                found.append((node, here))
                continue
            sides = split(here, self._instances.kept.flags, node.column)
            waiting += [way for way in zip((node.off, node.on), sides, strict=True) if len(way[1])]
        return found

    def _right(self, root: _Node, rows: Rows) -> float:
        """How many of examples a tree is right about."""
        shares = self._instances.kept.shares
        visited = self._visited(root, rows)
        return float(sum(shares[here, leaf.guess()].sum() for leaf, here in visited))

    def _look(self, leaf: _Node, rows: Rows) -> None:
        """If a leaf is weak, grow a tree in its place; begin to watch anew."""
        if leaf.is_weak(self._weak):
            kept = self._instances.since(rows, leaf.since)
            tree = self._sprout(kept, leaf.since)
            last = self._instances.since(rows, leaf.looked)
            explains = self._right(tree, last) > self._weak * leaf.watched
            if leaf.has_changed() and not explains and not self._is_burst(leaf.looked):
                kept, tree = last, self._sprout(last, leaf.looked)
            if self._right(tree, kept) > self._right(leaf, kept):
                leaf.become(tree)
                return
            leaf.due = min(2 * leaf.due, _MOST_PATIENCE)
        leaf.looked, leaf.right, leaf.watched = self._instances.came, 0.0, 0.0

    def _is_burst(self, came: int) -> bool:
        """Whether all that came since is of one class, and so tells nothing of what others are now."""
        rows = self._instances.since(self._instances.rows(), came)
        return int(np.count_nonzero(self._instances.kept.shares[rows].any(axis=0))) < 2

    def _bound(self) -> None:
        """Grow the whole tree anew where it has become too large, as large as it may be."""
        evidence, rows = self._evidence, self._instances.rows()
        while _size(self._root) > self._nodes:
            self._root = self._new(induce(self._instances.kept, rows, evidence), 0)
            evidence *= 2

    def _sprout(self, rows: Rows, since: int) -> _Node:
        """What ID3 grows from examples."""
        return self._new(induce(self._instances.kept, rows, self._evidence), since)

    def _new(self, node: Node, since: int) -> _Node:
        """A node that nothing has come to since it was grown."""
        totals = node.counts.totals
        new = _Node(totals.tolist(), since, self._instances.came, self._patience)
        new.trust = float(totals.max() / totals.sum()) if totals.any() else 0.0
        if node.off is not None and node.on is not None:
            new.column = node.column
            new.off, new.on = self._new(node.off, since), self._new(node.on, since)
        return new

    def _model(self) -> Tree:
        return Tree.of(_grown(self._root))

    def _blank(self) -> "Gaenari":
        flags, bound = self._flags, self._instances.bound
        limits = (self._nodes, self._weak, self._patience, self._evidence)
        return Gaenari(flags.tokens, flags.cuts, bound, *limits)

    def _kept(self) -> bytes:
        limits = (self._nodes, self._weak, self._patience, self._evidence)
        return msgspec.msgpack.encode(_Kept(*limits, self._instances.state(), self._root))

    def _resume(self, kept: bytes) -> None:
        stored = msgspec.msgpack.decode(kept, type=_Kept)
        self._nodes, self._weak, self._patience = stored.nodes, stored.weak, stored.patience
        self._evidence, self._root = stored.evidence, stored.root
        width, classes = self._flags.width, len(self._classes)
        self._instances = Instances.from_state(stored.instances, width, classes)


def _leaves(root: _Node) -> Iterator[_Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.off is None or node.on is None:
            yield node
        else:
            waiting += [node.off, node.on]


def _size(root: _Node) -> int:
    """How many nodes a tree has: a binary one has one leaf more than others."""
    return 2 * sum(1 for _ in _leaves(root)) - 1


def _grown(node: _Node) -> Grown:
    if node.off is None or node.on is None:
        return Grown(np.array(node.totals))
    off, on = _grown(node.off), _grown(node.on)
    return Grown(off.counts + on.counts, node.column, 0.5, off, on)
