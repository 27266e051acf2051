"""Nodes with the labels that they learned, and edges between them."""

from copy import copy
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
Row = NDArray[np.float32]
Counts = NDArray[np.float64]
Integers = NDArray[np.int64]
Packed = TypeVar("Packed", bound=msgspec.Struct)


class Topology(NamedTuple):
    """
    A net as a drawing: where its nodes are, and which are neighbours.

    Attributes:
        nodes: In the space of features, float32 (nodes, dim).
        edges: Pairs of nodes, int64 (edges, 2).
    """

    nodes: Rows
    edges: Integers


class Net(msgspec.Struct):
    """
    Nodes of a network that grows.

    Attributes:
        templates: What each node stands for, float32 (nodes, width).
        labels: How many labels of each class it learned, float64 (nodes, classes).
        uses: How often each node was used, as the learner counts it, float64 (nodes,).
        edges: Pairs of nodes, the lower first, int64 (edges, 2).
        ages: Of the edges, int64 (edges,).
        cycles: How many examples it learned.
    """

    templates: Rows
    labels: Counts
    uses: Counts
    edges: Integers
    ages: Integers
    cycles: int = 0

    @classmethod
    def empty(cls, width: int, classes: int) -> "Net":
        """A net without a node."""
        return cls(
            np.zeros((0, width), np.float32),
            np.zeros((0, classes)),
            np.zeros(0),
            np.zeros((0, 2), np.int64),
            np.zeros(0, np.int64),
        )

    def __len__(self) -> int:
        return len(self.templates)

    def add_class(self) -> None:
        """Make room for the labels of one more class."""
        self.labels = np.pad(self.labels, ((0, 0), (0, 1)))

    def add(self, template: Row) -> int:
        """Add a node, and name it; `trim` may follow."""
        self.templates = np.vstack([self.templates, template])
        self.labels = np.pad(self.labels, ((0, 1), (0, 0)))
        self.uses = np.append(self.uses, 0.0)
        return len(self) - 1

    def trim(self, most: int) -> None:
        """Where there are more than `most`, remove the one that matters least beside the newest."""
        if len(self) > most:
            self.keep(np.arange(len(self)) != self._least())

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Remove all other nodes, and their edges."""
        self.templates, self.labels, self.uses = (
            self.templates[kept],
            self.labels[kept],
            self.uses[kept],
        )
        whole = kept[self.edges].all(axis=1)
        self.edges = (np.cumsum(kept) - 1)[self.edges[whole]]
        self.ages = self.ages[whole]

    def among(self, kept: NDArray[np.bool_]) -> "Net":
        """A net of some of the nodes, and of the edges between them."""
        net = copy(self)
        net.keep(kept)
        return net

    def connect(self, one: int, other: int) -> None:
        """Let two nodes be neighbours, through an edge of age 0."""
        pair = np.array([[min(one, other), max(one, other)]])
        known = (self.edges == pair).all(axis=1)
        self.ages[known] = 0
        if not known.any():
            self.edges = np.vstack([self.edges, pair])
            self.ages = np.append(self.ages, 0)

    def of(self, node: int) -> NDArray[np.bool_]:
        """Which edges are those of a node, bool (edges,)."""
        mine: NDArray[np.bool_] = (self.edges == node).any(axis=1)
        return mine

    def neighbours(self, node: int) -> Integers:
        """The nodes that share an edge with a node."""
        others: Integers = self.edges[self.of(node)].sum(axis=1) - node
        return others

    def _least(self) -> int:
        """The node whose share of the labels of its class is smallest; the older of equal ones."""
        shares = self.labels[:-1] / np.maximum(self.labels.sum(axis=0), 1e-9)
        return int(shares.max(axis=1).argmin())


def packed(struct: msgspec.Struct) -> bytes:
    """Encode a struct whose fields may be arrays."""
    return msgspec.msgpack.encode(
        struct, enc_hook=lambda each: (each.dtype.str, each.shape, each.tobytes())
    )


def unpacked(data: bytes, kind: type[Packed]) -> Packed:
    """Decode what `packed` made."""
    return msgspec.msgpack.decode(data, type=kind, dec_hook=_array)


def _array(_: object, stored: tuple[str, list[int], bytes]) -> NDArray[Any]:
    kind, shape, data = stored
    return np.frombuffer(data, kind).reshape(shape).copy()
