"""River's Hoeffding tree with leaves in numpy, and its state as plain numbers."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from river.tree import HoeffdingTreeClassifier
from river.tree.nodes.branch import NumericBinaryBranch
from river.tree.nodes.htc_nodes import LeafMajorityClass
from river.tree.utils import BranchFactory

from trainer.learners.observed import Observed
from trainer.learners.trees import Grown

Vector = NDArray[np.float64]


class LeafState(msgspec.Struct, frozen=True, tag="leaf"):
    """A leaf: what river knows of it, and what it has observed, if it may still split."""

    stats: list[tuple[int, float]]
    tried_at: float
    active: bool
    counts: bytes = b""
    moments: bytes = b""
    on: bytes = b""


class BranchState(msgspec.Struct, frozen=True, tag="branch"):
    """A node that asks a number or a flag."""

    column: int
    threshold: float
    below: "BranchState | LeafState"
    above: "BranchState | LeafState"


# Their methods are not typed, and what is not typed may not be called from here.
_Leaf: Any = LeafMajorityClass
_Tree: Any = HoeffdingTreeClassifier


class Leaf(_Leaf):  # type: ignore[misc] # as above
    """
    A leaf that observes all values at once; `splitters` is what it has seen, None once it is inactive.

    Args:
        stats: The weight of each class that it begins with.
        depth: How far it is from the root.
        shape: How many numbers there are, and flags.
    """

    splitters: Any  # Observed; a dict that is empty before the first label

    def __init__(self, stats: Mapping[int, float], depth: int, shape: tuple[int, int]) -> None:
        super().__init__(dict(stats), depth, None)
        self.shape = shape

    def learn_one(self, x: Vector, y: int, *, w: float = 1.0, tree: Any = None) -> None:
        """Count a label, and see its values where it may still split."""
        self.update_stats(y, w)
        if self.is_active():
            if not self.splitters:  # new, or active again
                self.splitters = Observed(0, *self.shape)
            self.splitters.add(x, y, w)

    def best_split_suggestions(self, criterion: Any, tree: Any) -> list[BranchFactory]:
        """The two best splits, as river asks for them."""
        total = self.total_weight
        if max(self.stats.values()) > tree.max_share_to_split * total or not self.splitters:
            return [BranchFactory()]
        totals = np.array(list(self.stats.values()))
        return [
            BranchFactory(each.merit, each.column, each.threshold, list(map(_weights, each.sides)))
            for each in self.splitters.proposals(totals)
            if each.merit > -np.inf
        ] or [BranchFactory()]


class RiverTree(_Tree):  # type: ignore[misc] # as above
    """
    River's tree, which has leaves of ours and is bounded in leaves.

    Args:
        shape: How many numbers there are, and flags.
        active: So many leaves, those that promise most, may split at a time.
        options: River's.
    """

    def __init__(self, shape: tuple[int, int], active: int, **options: float) -> None:
        super().__init__(leaf_prediction="mc", memory_estimate_period=2**62, **options)
        self.shape = shape
        # River bounds the memory by what leaves need by its estimate; here each needs 1.
        self.max_size = active / 2**20
        self._active_leaf_size_estimate = 1.0

    def _new_leaf(
        self, initial_stats: Mapping[int, float] | None = None, parent: Any = None
    ) -> Leaf:
        return Leaf(initial_stats or {}, 0 if parent is None else parent.depth + 1, self.shape)

    def state(self) -> BranchState | LeafState | None:
        """All that it has learned; None before its first label."""
        return None if self._root is None else _state(self._root)

    def resume(self, state: BranchState | LeafState | None) -> None:
        """Resume from `state()`."""
        if state is None:
            return
        self._root = self._node(state, 0)
        leaves = list(self._root.iter_leaves())
        self._n_active_leaves = sum(leaf.is_active() for leaf in leaves)
        self._n_inactive_leaves = len(leaves) - self._n_active_leaves

    def grown(self, classes: int) -> Grown:
        """The tree as a head knows it."""
        return Grown(np.zeros(classes)) if self._root is None else _grown(self._root, classes)

    def _node(self, state: BranchState | LeafState, depth: int) -> Any:
        if isinstance(state, BranchState):
            children = [self._node(child, depth + 1) for child in (state.below, state.above)]
            return NumericBinaryBranch({}, state.column, state.threshold, depth, *children)
        leaf = Leaf(dict(state.stats), depth, self.shape)
        leaf.last_split_attempt_at = state.tried_at
        if not state.active:
            leaf.deactivate()
        elif state.counts:
            counts = np.frombuffer(state.counts).copy()
            seen = Observed(len(counts), *self.shape)
            seen.counts = counts
            seen.moments = np.frombuffer(state.moments).reshape(seen.moments.shape).copy()
            seen.on = np.frombuffer(state.on).reshape(seen.on.shape).copy()
            leaf.splitters = seen
        return leaf


def _state(node: Any) -> BranchState | LeafState:
    if isinstance(node, NumericBinaryBranch):
        return BranchState(node.feature, node.threshold, *map(_state, node.children))
    stats = list(node.stats.items())
    seen = node.splitters
    if not seen:
        return LeafState(stats, node.last_split_attempt_at, node.is_active())
    parts = (seen.counts.tobytes(), seen.moments.tobytes(), seen.on.tobytes())
    return LeafState(stats, node.last_split_attempt_at, True, *parts)


def _grown(node: Any, classes: int) -> Grown:
    if isinstance(node, NumericBinaryBranch):
        below, above = (_grown(child, classes) for child in node.children)
        counts = below.counts + above.counts
        return Grown(counts, node.feature, node.threshold, below, above)
    counts = np.zeros(classes)
    counts[list(node.stats)] = list(node.stats.values())
    return Grown(counts)


def _weights(side: Vector) -> dict[int, float]:
    """Those of the classes that there are."""
    return {place: weight for place, weight in enumerate(side.tolist()) if weight > 0}
