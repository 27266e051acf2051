"""What learners have in common whose state is one part: classes, counts, and the stream's shares."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray
from onnx import helper

from trainer.heads import Graph, head_of
from trainer.learners.base import (
    UNSEEN_LOGIT,
    Examples,
    Features,
    Logits,
    Weights,
    refuse_no_numbers,
    teach,
)

Vector = NDArray[np.float64]
Places = NDArray[np.intp]

ROUNDING = 1e-9
"""Labels fewer than this are what is left of fractions that were all taken back."""


class _State(msgspec.Struct, frozen=True):
    classes: list[str]
    counts: list[float]
    expected: list[float]
    own: bytes


class Counted(ABC):
    """
    A learner that says how probable classes are, as common as it was taught them.

    What it was taught need not be as common as in the stream (the replay buffer is balanced in part):
    the ratio of both shares is added to its scores (Saerens, Latinne & Decaestecker 2002, "Adjusting the
    Outputs of a Classifier to New a Priori Probabilities"), and a class without an example is ruled out.

    A learner defines `_learn`, `_scores`, `_graph`, `_own` and `_restore`; and `_forget` where it can
    take examples back, `_add_class` where it keeps something for each class.
    """

    name: str
    rehearsal: int = 0

    def __init__(self) -> None:
        self._classes: list[str] = []
        self._counts: Vector = np.zeros(0)  # (classes,), labels that were learned
        self._expected: Vector = np.zeros(0)  # (classes,), labels of the stream
        self._changed = True

    @property
    def classes(self) -> list[str]:
        """The labels, in the order of the logits."""
        return list(self._classes)

    def add_class(self, label: str) -> None:
        """Make room for a label; nothing happens where it is known."""
        if label in self._classes:
            return
        self._classes.append(label)
        self._counts = np.append(self._counts, 0.0)
        self._expected = np.append(self._expected, 0.0)
        self._add_class()
        self._changed = True

    def learn(
        self, examples: Examples, labels: Sequence[str], weights: Weights | None = None
    ) -> None:
        """
        Learn from a mini-batch.

        Raises:
            ValueError: A feature is not a finite number. Nothing was learned.
        """
        refuse_no_numbers(examples)
        for label in labels:
            self.add_class(label)
        places = self._places(labels)
        counted = np.ones(len(places)) if weights is None else weights
        self._learn(examples, places, counted)
        self._count(places, counted)
        self._changed = True

    def reject(self, examples: Examples, labels: Sequence[str]) -> bool:
        """False: it has no gradient to follow."""
        return False

    def rehearse(self, examples: Examples, labels: Sequence[str]) -> None:  # noqa: B027 - optional
        """Nothing: every label counts once."""

    def relearned(self, examples: Examples, labels: Sequence[str]) -> Self:
        """Learn anew from the replay buffer, in random order."""
        learner = self._blank()
        for label in self._classes:
            learner.add_class(label)
        teach(learner, examples, labels)
        learner.expect(dict(zip(self._classes, self._expected.tolist(), strict=True)))
        return learner

    def forget(self, features: Features, labels: Sequence[str]) -> bool:
        """Take back examples; False where only learning anew can."""
        places = self._places(labels)
        gone = self._forget(features, places)
        if gone:
            left = self._counts - np.bincount(places, minlength=len(self._counts))
            self._counts = np.where(left > ROUNDING, left, 0)
        self._expected = np.maximum(
            0, self._expected - np.bincount(places, minlength=len(self._expected))
        )
        self._changed = True
        return gone

    def expect(self, counts: Mapping[str, int | float]) -> None:
        """Say how common each class is in the stream, where the learner was fed otherwise."""
        for label in counts:
            self.add_class(label)
        self._expected = np.array([counts.get(label, 0) for label in self._classes], float)
        self._changed = True

    def logits(self, examples: Examples) -> Logits:
        """Score examples: float64 (examples, classes)."""
        if not self._counts.any():
            return np.full((len(examples), len(self._classes)), UNSEEN_LOGIT)
        scores = self._scores(examples)
        return np.where(self._counts > 0, scores + self._shift(), UNSEEN_LOGIT)

    def prior(self) -> list[float]:
        """The stream's share of each class."""
        shares: list[float] = (self._expected / max(1.0, self._expected.sum())).tolist()
        return shares

    def state(self) -> dict[str, bytes]:
        """Everything that was learned."""
        state = _State(self._classes, self._counts.tolist(), self._expected.tolist(), self._own())
        return {self.name: msgspec.msgpack.encode(state)}

    def changes(self) -> dict[str, bytes]:
        """The state, if it changed since the last call."""
        changed, self._changed = self._changed, False
        return self.state() if changed else {}

    @classmethod
    def from_state(cls, state: Mapping[str, bytes]) -> Self:
        """Resume from `state()`."""
        stored = msgspec.msgpack.decode(state[cls.name], type=_State)
        learner = cls()
        for label in stored.classes:
            learner.add_class(label)
        learner._counts = np.array(stored.counts, float)
        learner._expected = np.array(stored.expected, float)
        learner._restore(stored.own)
        learner._changed = False
        return learner

    def graph(self, to: str) -> Graph:
        """Make the nodes of a head that compute the logits."""
        seen = self._counts > 0
        own = self._graph(f"{to} taught") if seen.any() else _zeros(len(seen), f"{to} taught")
        constants = {
            f"{to} seen": seen.astype(np.bool_),
            f"{to} shift": np.where(seen, self._shift(), 0).astype(np.float32),
            f"{to} unseen": np.array(UNSEEN_LOGIT, np.float32),
        }
        nodes = [
            *own.nodes,
            helper.make_node("Add", [f"{to} taught", f"{to} shift"], [f"{to} shifted"]),
            helper.make_node("Where", [f"{to} seen", f"{to} shifted", f"{to} unseen"], [to]),
        ]
        return Graph(nodes, {**own.constants, **constants})

    def head(self) -> bytes:
        """The learner as an ONNX head."""
        return head_of(self.graph("logits"), len(self._classes))

    @abstractmethod
    def _learn(self, examples: Examples, places: Places, weights: Weights) -> None:
        """Learn a mini-batch; `places` are those of its labels among the classes, (examples,)."""

    @abstractmethod
    def _scores(self, examples: Examples) -> Logits:
        """
        Score examples, with the classes as common as they were learned: float64 (examples, classes).

        Softmax of them are probabilities. Called once a label was learned; what it says of a class
        without an example does not count, but it is a number.
        """

    @abstractmethod
    def _graph(self, to: str) -> Graph:
        """Make the nodes that compute `_scores`, float32 (batch, classes)."""

    @abstractmethod
    def _own(self) -> bytes:
        """What was learned besides the counts, and the parameters; the same bytes for the same."""

    @abstractmethod
    def _restore(self, own: bytes) -> None:
        """Resume from `_own`; classes and counts are there already."""

    def _add_class(self) -> None:  # noqa: B027 - optional
        """Make room for the class that was added last."""

    def _forget(self, features: Features, places: Places) -> bool:
        """Take back examples, (examples, dim) and (examples,), and return whether it could."""
        return False

    def _blank(self) -> Self:
        """One with the same parameters that has learned nothing."""
        return type(self)()

    def _count(self, places: Places, weights: Weights) -> None:
        added = np.bincount(places, weights, len(self._classes))
        self._counts = self._counts + added
        self._expected = self._expected + added

    def _places(self, labels: Sequence[str]) -> Places:
        place = {label: index for index, label in enumerate(self._classes)}
        return np.array([place[label] for label in labels], np.intp)

    def _shift(self) -> Vector:
        """How much commoner each class is in the stream than it was taught: the ratio's logarithm."""
        if np.array_equal(self._counts, self._expected):
            return np.zeros(len(self._counts))
        shift: Vector = log_share(np.maximum(self._expected, 1)) - log_share(
            np.maximum(self._counts, 1)
        )
        return shift


def log_share(counts: Vector) -> Vector:
    """The logarithm of each count's share of all."""
    shares: Vector = np.log(counts / counts.sum())
    return shares


def without_one(
    features: Features, labels: Places, gone: Features, place: int
) -> NDArray[np.bool_]:
    """
    Which of some examples stay when the first that is alike is taken out: bool (examples,).

    Args:
        features: Theirs, float32 (examples, dim).
        labels: The places of their classes, (examples,).
        gone: The features of the one to take out, (dim,); all stay where none is alike.
        place: That of its class.
    """
    alike = (labels == place) & (features == gone).all(axis=1)
    stay: NDArray[np.bool_] = np.arange(len(alike)) != np.argmax(alike) if alike.any() else ~alike
    return stay


def _zeros(classes: int, to: str) -> Graph:
    """Nodes that score every class 0, whatever the listing: nothing was learned yet."""
    names = [f"{to} batch", f"{to} of nothing"]
    nodes = [
        helper.make_node("Shape", ["features"], names[:1], start=0, end=1),
        helper.make_node("Concat", [names[0], f"{to} width"], [f"{to} shape"], axis=0),
        helper.make_node("ConstantOfShape", [f"{to} shape"], [to]),
    ]
    return Graph(nodes, {f"{to} width": np.array([classes], np.int64)})
