"""Learners of nodes: what each of them promises beyond what every learner does."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from trainer.learners.artmap import FuzzyArtmap
from trainer.learners.base import Examples, Features
from trainer.learners.igng import IncrementalGas
from trainer.learners.net import Topology
from trainer.learners.prototypes import Prototypes
from trainer.learners.topoart import TopoArt

KINDS: tuple[type[Prototypes], ...] = (FuzzyArtmap, TopoArt, IncrementalGas)
GAP = 0.5
"""Half the gap between the two circles, and between them and the line."""

every = pytest.mark.parametrize("kind", KINDS)


def seen(features: Features) -> Examples:
    """Listings by their features: these learners look at nothing else."""
    return Examples(features, [[101, 102]] * len(features))


def taught(
    learner: Prototypes, features: Features, labels: Sequence[str], cut: int = 16
) -> Prototypes:
    for start in range(0, len(labels), cut):
        learner.learn(seen(features[start : start + cut]), labels[start : start + cut])
    return learner


def answers(learner: Prototypes, features: Features) -> list[str]:
    return [learner.classes[place] for place in learner.logits(seen(features)).argmax(axis=1)]


def circles_and_line(seed: int, count: int) -> tuple[Features, NDArray[np.int64]]:
    """Two circles of radius 1 and 2 around the same point, and a line beside them."""
    chance = np.random.default_rng(seed)
    part = chance.integers(0, 3, count)
    angle = chance.uniform(0, 2 * np.pi, count)
    round_ = np.column_stack([np.cos(angle), np.sin(angle)]) * (1 + part)[:, None]
    straight = np.column_stack([np.full(count, 3.0), angle - np.pi])
    rows = np.where((part == 2)[:, None], straight, round_) + chance.normal(0, 0.04, (count, 2))
    return rows.astype(np.float32), part


def off_shape(rows: Features) -> NDArray[np.float64]:
    """How far rows are from the nearest of the circles and the line."""
    radius = np.linalg.norm(rows, axis=1)
    return np.minimum.reduce([np.abs(radius - 1), np.abs(radius - 2), np.abs(rows[:, 0] - 3)])


def part_of(rows: Features) -> NDArray[np.int64]:
    radius = np.linalg.norm(rows, axis=1)
    apart = np.stack([np.abs(radius - 1), np.abs(radius - 2), np.abs(rows[:, 0] - 3)])
    return apart.argmin(axis=0)


def components(topology: Topology) -> int:
    size = len(topology.nodes)
    edges = coo_matrix((np.ones(len(topology.edges)), topology.edges.T), shape=(size, size))
    return int(connected_components(edges, directed=False)[0])


@pytest.mark.parametrize(
    "learner",
    [
        IncrementalGas(reach=0.15, nodes=200),
        TopoArt(vigilance=0.92, samples=5, nodes=200),
    ],
    ids=lambda learner: learner.name,
)
def test_the_topology_of_a_shape_is_recovered(learner: IncrementalGas | TopoArt) -> None:
    """Two circles and a line are three components; no node is off them, and no edge leaves its part."""
    rows, parts = circles_and_line(1, 4_000)
    taught(learner, rows, [str(part) for part in parts])
    topology = learner.topology()
    own = part_of(topology.nodes)
    nearest = np.linalg.norm(rows[:, None] - topology.nodes, axis=2).min(axis=1)

    assert components(topology) == 3
    assert (own[topology.edges[:, 0]] == own[topology.edges[:, 1]]).all()
    assert off_shape(topology.nodes).max() < 0.2
    assert nearest.max() < GAP
