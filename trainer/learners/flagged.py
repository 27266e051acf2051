"""What learners have in common that ask flags of an example: the flags, and how they begin."""

from abc import abstractmethod
from typing import Protocol

import msgspec
import numpy as np

from trainer.heads import Graph
from trainer.learners.base import Examples, Features, Logits, Weights
from trainer.learners.counted import Counted, Places
from trainer.learners.flags import CUTS, TOKENS, Bits, Columns, Flags
from trainer.learners.id3 import Sample

FIRST = 100
"""Cuts are those of so many examples: quartiles of 100 are within about 4 of the right percentile."""


class Model(Protocol):
    """What a learner says of flags."""

    @property
    def columns(self) -> Columns:
        """The flags that it asks for, ascending."""
        ...

    def scores(self, values: Bits) -> Logits:
        """Score examples by all of their flags, (examples, flags): float64 (examples, classes)."""
        ...

    def graph(self, of: str, to: str) -> Graph:
        """Make the nodes that do so by those of `columns`, float32 (batch, columns)."""
        ...


class _First(msgspec.Struct, frozen=True):
    dimensions: int
    features: bytes
    tokens: list[list[int]]
    places: list[int]
    weights: list[float]


class _State(msgspec.Struct, frozen=True):
    flags: bytes
    first: _First | None
    own: bytes


class Flagged(Counted):
    """
    A learner that asks flags.

    The first 100 examples are kept. Whenever there are twice as many of them, and at 100, the cuts are
    set anew and all of them are learned anew; after that cuts stay, and the examples go. So it can tell
    classes by features from the second label on.

    Measured with what the learners here say of themselves: `python -m bench.learners --streams nyc,madrid
    --rows 6000 --test 1500 --docs FOLDER`, accuracy of the exported head on titles of other hosts; one
    seed, a standard error of .01. Bounds and cautions were chosen by titles of New York, so that those
    figures flatter; Madrid was not looked at. Iris, wine and digits are those
    of seed 0 in tests/trainer/learners/test_every_learner.py, and so are separable listings, in the
    orders of its test.

    A learner defines `_begin`, `_grow`, `_model`, `_kept` and `_resume`.

    Args:
        tokens: The bound of the vocabulary.
        cuts: The bound of cuts in features.
    """

    def __init__(self, tokens: int = TOKENS, cuts: int = CUTS) -> None:
        super().__init__()
        self._flags = Flags(tokens, cuts)
        self._first: _First | None = _First(0, b"", [], [], [])
        self._asks: Model | None = None

    def _learn(self, examples: Examples, places: Places, weights: Weights) -> None:
        self._asks = None
        self._flags.meet(examples.tokens)
        if self._first is None:
            self._take(examples, places, weights)
            return
        before = len(self._first.places)
        self._first = _joined(self._first, examples, places, weights)
        now = len(self._first.places)
        if now < FIRST and now.bit_length() == before.bit_length():
            self._take(examples, places, weights)
            return
        self._begin_anew(self._first)
        if now >= FIRST:
            self._first = None

    def _begin_anew(self, first: _First) -> None:
        features = np.frombuffer(first.features, np.float32).reshape(-1, first.dimensions)
        self._flags.cut(features)
        self._begin()
        self._take(
            Examples(features, first.tokens), np.array(first.places), np.array(first.weights)
        )

    def _take(self, examples: Examples, places: Places, weights: Weights) -> None:
        flags = self._flags.of(examples)
        self._grow(Sample.of(flags, places, weights, len(self._classes)))

    def _scores(self, examples: Examples) -> Logits:
        return self._asked().scores(self._flags.of(examples))

    def _graph(self, to: str) -> Graph:
        model = self._asked()
        flags = self._flags.graph(model.columns, f"{to} flags")
        own = model.graph(f"{to} flags", to)
        return Graph([*flags.nodes, *own.nodes], {**flags.constants, **own.constants})

    def _own(self) -> bytes:
        return msgspec.msgpack.encode(_State(self._flags.state(), self._first, self._kept()))

    def _restore(self, own: bytes) -> None:
        stored = msgspec.msgpack.decode(own, type=_State)
        self._flags = Flags.from_state(stored.flags)
        self._first = stored.first
        self._resume(stored.own)

    def _asked(self) -> Model:
        """The model, made once for all that is asked between two mini-batches."""
        if self._asks is None:
            self._asks = self._model()
        return self._asks

    @abstractmethod
    def _begin(self) -> None:
        """Forget every example: the cuts are others now."""

    @abstractmethod
    def _grow(self, examples: Sample) -> None:
        """Learn a mini-batch."""

    @abstractmethod
    def _model(self) -> Model:
        """What was learned."""

    @abstractmethod
    def _kept(self) -> bytes:
        """What was learned besides counts and flags, and the parameters."""

    @abstractmethod
    def _resume(self, kept: bytes) -> None:
        """Resume from `_kept`; flags are there already."""


def _joined(first: _First, examples: Examples, places: Places, weights: Weights) -> _First:
    features: Features = np.ascontiguousarray(examples.features, np.float32)
    return _First(
        features.shape[1],
        first.features + features.tobytes(),
        [*first.tokens, *(list(map(int, text)) for text in examples.tokens)],
        [*first.places, *places.tolist()],
        [*first.weights, *np.asarray(weights, np.float64).tolist()],
    )
