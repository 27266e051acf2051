"""Incremental growing neural gas."""

import numpy as np
from onnx import helper

from trainer.heads import Graph
from trainer.learners.net import Integers, Net, Row, Rows, Topology
from trainer.learners.prototypes import Prototypes


class IncrementalGas(Prototypes):
    """
    Incremental growing neural gas: neurons where listings are, and edges where they are dense.

    Prudent & Ennaji 2005, "An Incremental Growing Neural Gas Learns Topologies". A listing that is out of
    reach of every neuron becomes an embryo; one that only the nearest reaches becomes an embryo linked to
    it. Otherwise the nearest moves towards it, its neighbours a little, its edges age, and the edge to
    the second is made new. Edges that grow too old are removed, and so are mature neurons that have
    no edge left. A neuron matures by how often it or a neighbour was the nearest.

    The paper reaches as far as the standard deviation of the data; here that of the first examples is
    multiplied by `reach`. The paper keeps only mature neurons at the end, and `topology` shows them;
    listings are read by all, since an embryo may be the only one that knows a new class. A neuron counts
    the labels it was the nearest for.

    At the bound a listing that is out of reach makes an embryo only where the nearest neuron is wrong
    about it; else neurons would come and go with every listing of wide features.

    Measured on MiniLM features of New York titles (accuracy after 500, 2,000 and 6,000 labels, on 3,000
    titles that no default was chosen by): .751, .768, .777; with the paper's reach of 1 .722, .748, .753.
    Of the shared rooms, 3%, none is found. One pass, mean of 10 splits (defaults were chosen by these
    data too): iris .87, digits .96, wine .97; with reach 1 .84, .88, .96.

    The topology of shapes in a plane needs a shorter reach, and noise must not mature: reach .14,
    edge_age 100 and maturity 60 recover the parts and holes of rings, moons, a ring and a disc from 8,000
    points, 2% of them noise, in 36 of 36 draws (15 are those of
    tests/trainer/learners/test_shapes.py, by which edge_age was chosen; 21 chose nothing); the defaults
    in 4 of 15 without noise, and leave gaps.

    A label costs 0.2 to 0.3 ms, a prediction of the head 10 µs: one matrix product, 16,000
    multiplications at the defaults.

    Args:
        nodes: How many neurons it keeps, at most; see `Prototypes` for what goes beyond them.
        reach: Of a neuron, in standard deviations of the first examples.
        rate: How far the nearest neuron moves to a listing of weight 1.
        neighbour_rate: How far its neighbours move.
        edge_age: An edge that is older is removed.
        maturity: The age at which an embryo is mature.

    Example:
        >>> from trainer.learners.base import Examples
        >>> learner = IncrementalGas()
        >>> listings = Examples(np.eye(2, dtype=np.float32), [[101, 102], [101, 102]])
        >>> learner.learn(listings, ["Private room", "Shared room"])
        >>> learner.logits(listings).argmax(axis=1).tolist()
        [0, 1]
    """

    name = "igng"
    parameters = (
        "nodes",
        "reach",
        "rate",
        "neighbour_rate",
        "edge_age",
        "maturity",
    )

    def __init__(
        self,
        nodes: int = 500,
        reach: float = 0.7,
        rate: float = 0.03,
        neighbour_rate: float = 0.003,
        edge_age: int = 50,
        maturity: int = 10,
    ) -> None:
        super().__init__(nodes)
        self.reach = reach
        self.rate = rate
        self.neighbour_rate = neighbour_rate
        self.edge_age = edge_age
        self.maturity = maturity

    def topology(self) -> Topology:
        """The mature neurons, and the edges between them."""
        net = self._nets[0]
        mature = net.among(net.uses >= self.maturity)
        return self._drawn(mature, mature.templates)

    def _width(self, axes: int) -> int:
        return axes

    def _see(self, row: Row, place: int, weight: float) -> None:
        net = self._nets[0]
        near = self._near(net, row, place)
        if len(near) < 2:
            self._create(net, row, near)
            net.labels[-1, place] += weight
            return
        winner, second = near
        net.ages[net.of(winner)] += 1
        neighbours = net.neighbours(winner)
        self._move(net, np.array([winner]), row, self.rate * weight)
        self._move(net, neighbours, row, self.neighbour_rate * weight)
        net.connect(winner, second)
        net.uses[[winner, *neighbours]] += 1
        net.labels[winner, place] += weight
        self._prune(net)

    def _near(self, net: Net, row: Row, place: int) -> list[int]:
        """The nearest and the second as far as they reach; at the bound both, if the nearest is right."""
        distances = ((net.templates - row) ** 2).sum(axis=1)
        order: list[int] = np.argsort(distances, kind="stable")[:2].tolist()
        if len(net) >= self.nodes > 1 and net.labels[order[0]].argmax() == place:
            return order
        return [node for node in order if distances[node] <= self._threshold() ** 2]

    def _threshold(self) -> float:
        return self.reach * self._set().deviation

    def _create(self, net: Net, row: Row, near: list[int]) -> None:
        """Add an embryo at an example, linked to the winner if that is within reach."""
        embryo = net.add(row)
        for winner in near:
            net.connect(winner, embryo)
        net.trim(self.nodes)

    def _move(self, net: Net, nodes: Integers, row: Row, rate: float) -> None:
        net.templates[nodes] += np.float32(min(1.0, rate)) * (row - net.templates[nodes])

    def _prune(self, net: Net) -> None:
        """Remove old edges, and then mature neurons that have none."""
        old = net.ages > self.edge_age
        if not old.any():
            return
        net.edges, net.ages = net.edges[~old], net.ages[~old]
        linked = np.zeros(len(net), np.bool_)
        linked[net.edges] = True
        net.keep(linked | (net.uses < self.maturity))

    def _closeness(self, net: Net, rows: Rows) -> Rows:
        close: Rows = 2 * (rows @ net.templates.T) - self._squares(net)
        return close

    def _closeness_graph(self, net: Net, rows: str, to: str) -> Graph:
        constants = {f"{to} templates": 2 * net.templates.T, f"{to} squares": -self._squares(net)}
        node = helper.make_node("Gemm", [rows, *constants], [to])
        return Graph([node], constants)

    def _squares(self, net: Net) -> Rows:
        squares: Rows = (net.templates**2).sum(axis=1)
        return squares
