"""Decision trees as arrays: evaluated in numpy, and as ONNX nodes."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from trainer.heads import Constants, Graph

Vector = NDArray[np.float64]
Places = NDArray[np.intp]
Values = NDArray[np.float32] | NDArray[np.bool_]

TRUST_IN_PARENT = 2.0
"""What is said of a node's parent counts as so many labels at the node itself."""


@dataclass(eq=False)
class Grown:
    """
    A node of a tree as it grew.

    Attributes:
        counts: How often each class came here, float64 (classes,).
        column: What it asks of an example's values, whether that one is above …
        threshold: … this; nothing at a leaf, which has no children.
        off: Where those go that are not above.
        on: Where those go that are.
    """

    counts: Vector
    column: int = 0
    threshold: float = 0.5
    off: "Grown | None" = None
    on: "Grown | None" = None


@dataclass(frozen=True)
class Tree:
    """
    A tree, each node a place in arrays, the root the first; a leaf leads to itself.

    Attributes:
        asked: The column of the values that each node asks for, (nodes,).
        thresholds: What it must be above to go on, float32 (nodes,).
        off: Where others go, (nodes,).
        on: Where those go that are above it, (nodes,).
        log_shares: How probable each class is, as a logarithm, float64 (nodes, classes).
        depth: The longest way from the root to a leaf, in steps, one at least.
    """

    asked: Places
    thresholds: NDArray[np.float32]
    off: Places
    on: Places
    log_shares: NDArray[np.float64]
    depth: int

    @classmethod
    def of(cls, root: Grown) -> Self:
        """
        Put a grown tree into arrays.

        Shares are m-estimates (Cestnik 1990): as if 2 labels more had come to each node, shared out as
        its parent's are; and one more of each class to the root. None is 0.
        """
        nodes, steps, shares = [root], [1], [(root.counts + 1) / (root.counts + 1).sum()]
        asked, thresholds, children = [], [], []
        for place, node in enumerate(nodes):  # which grow meanwhile, level after level
            ways = (place, place)
            if node.off is not None and node.on is not None:
                ways = (len(nodes), len(nodes) + 1)
                for child in (node.off, node.on):
                    nodes.append(child)
                    steps.append(steps[place] + 1)
                    told = child.counts + TRUST_IN_PARENT * shares[place]
                    shares.append(told / (child.counts.sum() + TRUST_IN_PARENT))
            asked.append(node.column)
            thresholds.append(node.threshold)
            children.append(ways)
        off, on = np.array(children, np.intp).T
        heights = _not_above(np.array(thresholds))
        depth = max(1, max(steps) - 1)
        return cls(np.array(asked, np.intp), heights, off, on, np.log(shares), depth)

    @property
    def columns(self) -> Places:
        """The columns that are asked for, ascending."""
        return np.unique(self.asked)

    def leaves(self, values: Values) -> Places:
        """The leaf that each example comes to, (examples,); `values` are (examples, columns)."""
        rows, nodes = np.arange(len(values)), np.zeros(len(values), np.intp)
        for _ in range(self.depth):
            above = values[rows, self.asked[nodes]] > self.thresholds[nodes]
            nodes = np.where(above, self.on[nodes], self.off[nodes])
        return nodes

    def scores(self, values: Values) -> NDArray[np.float64]:
        """The logarithms of the shares where each example comes to, float64 (examples, classes)."""
        scores: NDArray[np.float64] = self.log_shares[self.leaves(values)]
        return scores

    def graph(self, of: str, to: str) -> Graph:
        """
        Make the nodes that compute `scores`.

        All nodes of the tree are asked at once where they lead to, (batch, nodes); then as many Gathers
        as the tree is deep follow that from the root.

        Args:
            of: The name of the values, float32 (batch, columns): those of `columns`, in their order.
            to: The name of what they compute, float32 (batch, classes); their own names begin with it.
        """
        constants: Constants = {
            f"{to} asked": np.searchsorted(self.columns, self.asked).astype(np.int64),
            f"{to} thresholds": self.thresholds,
            f"{to} off": self.off.astype(np.int64),
            f"{to} on": self.on.astype(np.int64),
            f"{to} root": np.array([0], np.int64),
            f"{to} log shares": self.log_shares.astype(np.float32),
            f"{to} axis": np.array([1], np.int64),
        }
        names = [f"{to} after {step + 1}" for step in range(self.depth)]
        nodes = [
            helper.make_node("Gather", [of, f"{to} asked"], [f"{to} values"], axis=1),
            helper.make_node("Greater", [f"{to} values", f"{to} thresholds"], [f"{to} above"]),
            helper.make_node("Where", [f"{to} above", f"{to} on", f"{to} off"], [f"{to} ways"]),
            helper.make_node("Gather", [f"{to} ways", f"{to} root"], [names[0]], axis=1),
            *(
                helper.make_node("GatherElements", [f"{to} ways", before], [after], axis=1)
                for before, after in pairwise(names)
            ),
            helper.make_node("Squeeze", [names[-1], f"{to} axis"], [f"{to} leaf"]),
            helper.make_node("Gather", [f"{to} log shares", f"{to} leaf"], [to], axis=0),
        ]
        return Graph(nodes, constants)


def _not_above(thresholds: Vector) -> NDArray[np.float32]:
    """The largest float32 that is not above each threshold: a float32 is above both or neither."""
    near = thresholds.astype(np.float32)
    below: NDArray[np.float32] = np.nextafter(near, np.float32(-np.inf))
    return np.where(near.astype(np.float64) > thresholds, below, near)
