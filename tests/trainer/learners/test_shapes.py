"""Learners of nodes with edges recover the topology of what they learn, noise or not."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial import cKDTree

from tests.trainer.learners.listings import seen
from tests.trainer.learners.shapes import (
    MOONS,
    RING_AND_DISC,
    RINGS,
    Shape,
    components,
    holes,
)
from trainer.learners.igng import IncrementalGas
from trainer.learners.net import Topology
from trainer.learners.topoart import TopoArt

LISTINGS = 8_000
NOISE = 0.02
CLOSE = 0.3
"""No part is as near to the other; a half of it is about the size of a box."""


def gas() -> IncrementalGas:
    """Neurons reach a sixth of a radius; noise is too seldom the nearest for its neurons to mature."""
    return IncrementalGas(nodes=400, reach=0.14, edge_age=100, maturity=60)


def topoart() -> TopoArt:
    """Boxes are about as small, the second hardly grows, and noise passes few of them 10 listings."""
    return TopoArt(nodes=400, vigilance=0.94, second_rate=0.2, samples=10, cycles=LISTINGS)


LEARNERS: dict[str, Callable[[], IncrementalGas | TopoArt]] = {"igng": gas, "topoart": topoart}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shape", [RINGS, MOONS, RING_AND_DISC], ids=lambda shape: shape.name)
@pytest.mark.parametrize("name", LEARNERS)
def test_the_topology_of_a_shape_is_recovered(name: str, shape: Shape, seed: int) -> None:
    """Two parts with their holes, which noise does not join; nodes are where the shape is."""
    rows, parts = shape.drawn(seed, LISTINGS, NOISE)
    learner = LEARNERS[name]()
    for start in range(0, LISTINGS, 16):
        cut = slice(start, start + 16)
        learner.learn(seen(rows[cut]), [str(part) for part in parts[cut]])
    topology = learner.topology()
    of_shape = cKDTree(rows[parts >= 0])
    apart, nearest = of_shape.query(topology.nodes)
    own = parts[parts >= 0][nearest]

    assert (own[topology.edges[:, 0]] == own[topology.edges[:, 1]]).all()
    assert components(topology) == 2
    assert holes(topology) == shape.holes
    assert apart.max() < CLOSE
    assert cKDTree(topology.nodes).query(rows[parts >= 0])[0].max() < CLOSE


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ([(n, (n + 1) % 7) for n in range(7)], (1, 1)),
        ([(n, (n + 1) % 6) for n in range(6)], (1, 0)),
        ([(n, n + 1) for n in range(6)], (1, 0)),
        ([(0, 1), (1, 2), (0, 2), (3, 4), (5, 6)], (3, 0)),
        ([*((n, (n + 1) % 7) for n in range(7)), (0, 3)], (1, 0)),
    ],
    ids=["ring", "short ring", "line", "triangle and lines", "ring with a chord"],
)
def test_holes_are_counted(edges: list[tuple[int, int]], expected: tuple[int, int]) -> None:
    """Of drawings that are known: how many parts, how many cycles that no short ones fill."""
    ordered = np.sort(np.array(edges), axis=1)
    topology = Topology(np.zeros((ordered.max() + 1, 2), np.float32), ordered)

    assert (components(topology), holes(topology)) == expected
