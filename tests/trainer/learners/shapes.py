"""Shapes of two parts as listings, and the topology of what was learned of them."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, shortest_path

from trainer.learners.base import Features
from trainer.learners.net import Integers, Topology

Rows = NDArray[np.float64]
Parts = NDArray[np.int64]

WIDTH = 0.04
"""The standard deviation of listings around a line."""

LONGEST_FILLED = 6
"""A cycle of no more edges is no hole: neurons of a plane leave such between them."""


class Shape(NamedTuple):
    """
    Two parts of a plane.

    Attributes:
        name: Of it.
        holes: How many both have together.
        one: A point of the first by a random number of [0, 1) and another one, float64 (count, 2).
        two: A point of the second.
    """

    name: str
    holes: int
    one: Callable[[Rows, Rows], Rows]
    two: Callable[[Rows, Rows], Rows]

    def drawn(self, seed: int, count: int, noise: float = 0.0) -> tuple[Features, Parts]:
        """
        Draw listings.

        Args:
            seed: Of the draw.
            count: How many.
            noise: The share of those that are anywhere in a box instead, 1 around the shape.

        Returns:
            Features float32 (count, 2), and their parts (count,): 0, 1, or -1 for noise.
        """
        chance = np.random.default_rng(seed)
        parts = chance.integers(0, 2, count)
        numbers = chance.random((2, count))
        rows = np.where((parts == 0)[:, None], self.one(*numbers), self.two(*numbers))
        rows += chance.normal(0, WIDTH, (count, 2))
        anywhere = chance.uniform(rows.min(axis=0) - 1, rows.max(axis=0) + 1, (count, 2))
        parts[chance.random(count) < noise] = -1
        return np.where((parts < 0)[:, None], anywhere, rows).astype(np.float32), parts


def _ring(turn: Rows, radius: float | Rows = 1.0, right: float = 0.0, up: float = 0.0) -> Rows:
    """Points on a circle: `turn` is the share of it that lies between its rightmost one and them."""
    angle = 2 * np.pi * turn
    return np.column_stack([right + radius * np.cos(angle), up + radius * np.sin(angle)])


RINGS = Shape("rings", 2, lambda turn, _: _ring(turn), lambda turn, _: _ring(turn, 2))
"""One in the other: no line separates them."""

MOONS = Shape(
    "moons",
    0,
    lambda turn, _: _ring(turn / 2),
    lambda turn, _: _ring(turn / 2 + 0.5, right=1, up=0.5),
)
"""Two half circles, each of which reaches into the other."""

RING_AND_DISC = Shape(
    "ring and disc",
    1,
    lambda turn, _: _ring(turn, right=-1.5),
    lambda turn, out: _ring(turn, np.sqrt(out), right=1.5),
)


def components(topology: Topology) -> int:
    """How many parts a net has that no edge joins."""
    return int(connected_components(_matrix(topology), directed=False)[0])


def holes(topology: Topology) -> int:
    """
    How many independent cycles a net has that shorter ones do not fill: its first Betti number.

    By Euler's characteristic there are edges - nodes + components independent cycles. Those that cycles
    of up to `LONGEST_FILLED` edges generate are filled; which ones do is told by cycles that are a node's
    shortest ways to both ends of an edge (Horton 1987).
    """
    cycles = len(topology.edges) - len(topology.nodes) + components(topology)
    return cycles - _rank(set(_short_cycles(topology)))


def _short_cycles(topology: Topology) -> Iterator[int]:
    """Cycles as sets of edges: a bit for each."""
    distances, before = shortest_path(
        _matrix(topology), directed=False, unweighted=True, return_predecessors=True
    )
    bits = {frozenset(edge): 1 << place for place, edge in enumerate(topology.edges.tolist())}
    for node in range(len(topology.nodes)):
        for (one, other), bit in zip(topology.edges.tolist(), bits.values(), strict=True):
            if distances[node, one] + distances[node, other] < LONGEST_FILLED:
                yield bit ^ _way(before[node], one, bits) ^ _way(before[node], other, bits)


def _way(before: Integers, node: int, bits: dict[frozenset[int], int]) -> int:
    """The edges of the shortest way to a node, by the node before each on it."""
    way = 0
    while (last := int(before[node])) >= 0:
        way ^= bits[frozenset((last, node))]
        node = last
    return way


def _rank(rows: set[int]) -> int:
    """How many of these vectors over the field of two elements are independent."""
    leading: dict[int, int] = {}
    for row in rows:
        rest = row
        while rest and rest.bit_length() in leading:
            rest ^= leading[rest.bit_length()]
        if rest:
            leading[rest.bit_length()] = rest
    return len(leading)


def _matrix(topology: Topology) -> coo_matrix:
    size = len(topology.nodes)
    return coo_matrix((np.ones(len(topology.edges)), topology.edges.T), shape=(size, size))
