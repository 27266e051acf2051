"""What learners have in common that keep nodes in a frame which the first examples set."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self

import msgspec
import numpy as np

from trainer.heads import Graph
from trainer.learners.base import Examples, Features, Logits, Weights
from trainer.learners.counted import Counted, Places
from trainer.learners.frame import Frame
from trainer.learners.net import Net, Row, Rows, Topology, packed, unpacked
from trainer.learners.readout import scores, scores_graph, shares

FIRST = 256
"""How many examples set the frame."""

AXES = 32
"""How many principal axes of them are kept; 64 gained nothing on 2,500 titles of one city."""

NEAREST = 20
"""How many nodes have a say in a score."""

SMOOTHING = 1.0
"""So many labels, as common as at all, are added to those of each node."""


class First(msgspec.Struct):
    """Examples that set the frame: float32 (examples, dim), int64 and float64 (examples,)."""

    features: Features
    places: Places
    weights: Weights

    def __len__(self) -> int:
        return len(self.places)

    def and_then(self, later: "First") -> "First":
        """These and those that came later."""
        if not len(self):
            return later
        return First(
            np.concatenate([self.features, later.features]),
            np.concatenate([self.places, later.places]),
            np.concatenate([self.weights, later.weights]),
        )


class _Own(msgspec.Struct):
    parameters: dict[str, int | float]
    frame: Frame | None
    framed: int
    first: First
    nets: list[Net]


class Prototypes(Counted):
    """
    A learner of nodes that count labels.

    The first examples set its frame: whenever there are twice as many, up to `FIRST`, it sets the frame
    anew and learns them once more; then the frame is frozen and they are dropped. What the nodes nearest
    to a listing counted makes its scores.

    A learner defines `_see`, `_closeness` and `_closeness_graph`, and names its parameters.

    Args:
        nodes: How many it keeps, at most. Where one more is needed, the node goes whose share of the
            labels of its class is smallest, so that a rare class keeps its nodes.
        nets: How many nets it has; listings are read by the last of them that has a node.
    """

    parameters: ClassVar[tuple[str, ...]]

    def __init__(self, nodes: int = 500, nets: int = 1) -> None:
        super().__init__()
        self.nodes = nodes
        self._frame: Frame | None = None
        self._framed = 0  # how many examples set it
        self._first = _none()
        self._nets = [Net.empty(0, 0) for _ in range(nets)]

    def _add_class(self) -> None:
        for net in self._nets:
            net.add_class()

    def _learn(self, examples: Examples, places: Places, weights: Weights) -> None:
        new = First(examples.features, places, weights)
        if self._framed < FIRST:
            self._first = self._first.and_then(new)
            if len(self._first) >= min(2 * self._framed, FIRST):
                self._begin()
                return
        self._see_all(new)

    def _begin(self) -> None:
        """Set the frame by the first examples, and learn them in it."""
        first = self._first
        self._framed = min(len(first), FIRST)
        self._frame = Frame.around(first.features[: self._framed], AXES)
        width = self._width(self._frame.axes.shape[1])
        self._nets = [Net.empty(width, len(self._classes)) for _ in self._nets]
        self._see_all(first)
        if self._framed == FIRST:
            self._first = _none()

    def _see_all(self, seen: First) -> None:
        rows = self._placed(seen.features)
        for row, place, weight in zip(rows, seen.places, seen.weights, strict=True):
            self._see(row, int(place), float(weight))

    def _placed(self, features: Features) -> Rows:
        """Features in the frame, float32 (examples, axes)."""
        return self._set()(features)

    def _set(self) -> Frame:
        if self._frame is None:
            raise AssertionError("this is a bug: nothing was learned, so that there is no frame")
        return self._frame

    def _drawn(self, net: Net, rows: Rows) -> Topology:
        """A net whose nodes are at rows of the frame, (nodes, axes)."""
        return Topology(self._set().back(rows) if len(rows) else rows, net.edges)

    def _scores(self, examples: Examples) -> Logits:
        net = self._read()
        closeness = self._closeness(net, self._placed(examples.features))
        return scores(closeness, self._shares(net), NEAREST)

    def _graph(self, to: str) -> Graph:
        net = self._read()
        frame = self._set().graph(f"{to} framed")
        closeness = self._closeness_graph(net, f"{to} framed", f"{to} closeness")
        said = scores_graph(f"{to} closeness", self._shares(net), NEAREST, to)
        return Graph(
            [*frame.nodes, *closeness.nodes, *said.nodes],
            {**frame.constants, **closeness.constants, **said.constants},
        )

    def _read(self) -> Net:
        """The last net that has a node."""
        return next((net for net in reversed(self._nets) if len(net)), self._nets[0])

    def _shares(self, net: Net) -> Rows:
        return shares(net.labels, self._counts, SMOOTHING)

    def _own(self) -> bytes:
        parameters = {name: getattr(self, name) for name in self.parameters}
        return packed(_Own(parameters, self._frame, self._framed, self._first, self._nets))

    def _restore(self, own: bytes) -> None:
        stored = unpacked(own, _Own)
        self._take(stored.parameters)
        self._frame, self._framed = stored.frame, stored.framed
        self._first, self._nets = stored.first, stored.nets

    def _blank(self) -> Self:
        learner = type(self)()
        learner._take({name: getattr(self, name) for name in self.parameters})
        return learner

    def _take(self, parameters: Mapping[str, int | float]) -> None:
        for name, value in parameters.items():
            setattr(self, name, value)

    @abstractmethod
    def _width(self, axes: int) -> int:
        """How wide a template is."""

    @abstractmethod
    def _see(self, row: Row, place: int, weight: float) -> None:
        """Learn one example, float32 (axes,), of the class at this place."""

    @abstractmethod
    def _closeness(self, net: Net, rows: Rows) -> Rows:
        """
        How close rows (examples, axes) are to nodes: float32 (examples, nodes).

        Differences count, not what is added to a whole row; they are up to about 1.
        """

    @abstractmethod
    def _closeness_graph(self, net: Net, rows: str, to: str) -> Graph:
        """Make the nodes that compute `_closeness` of what is named `rows`."""


def _none() -> First:
    return First(np.zeros((0, 0), np.float32), np.zeros(0, np.intp), np.zeros(0))
