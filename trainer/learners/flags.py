"""Flags: what is so of an example, and what is not, for learners that ask yes or no."""

from collections.abc import Sequence
from itertools import chain
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from trainer.heads import Constants, Graph
from trainer.learners.base import Examples, Features

Bits = NDArray[np.bool_]
Columns = NDArray[np.intp]

TOKENS = 1_024
CUTS = 128
MOST_CUTS_EACH = 7
"""Octiles: more of them hardly differ where they are set from some hundred examples."""

_NOTHING, _PADDING = -1, -2  # token ids that no text has


class _State(msgspec.Struct, frozen=True):
    tokens: int
    cuts: int
    vocabulary: list[int]
    places: bytes
    heights: bytes


class Flags:
    """
    Binary attributes: "this token occurs in the text", "this feature is above this cut".

    There is a column for each of the first token ids that come, so that while there is room, a text that
    came before a token did has not got it; and then a column for each cut. Cuts are quantiles of some
    examples, as many of every feature as there is room for, up to 7; of more features than that, those
    that vary most have one. A column that is not used yet is a flag that nothing has.

    Args:
        tokens: So many token ids have a column.
        cuts: So many cuts have one, in all.

    Example:
        >>> flags = Flags(tokens=4, cuts=2)
        >>> listings = Examples(np.eye(2, dtype=np.float32), [[101, 7], [101, 8]])
        >>> flags.meet(listings.tokens)
        >>> flags.cut(listings.features)
        >>> flags.of(listings).astype(int).tolist()
        [[1, 1, 0, 0, 1, 0], [1, 0, 1, 0, 0, 1]]
    """

    def __init__(self, tokens: int = TOKENS, cuts: int = CUTS) -> None:
        self.tokens = tokens
        self.cuts = cuts
        self._vocabulary: dict[int, int] = {}  # column by token id
        self._places: Columns = np.zeros(cuts, np.intp)  # the feature of each cut
        self._heights: Features = np.full(cuts, np.inf, np.float32)

    @property
    def width(self) -> int:
        """How many columns there are."""
        return self.tokens + self.cuts

    def meet(self, texts: Sequence[Sequence[int]]) -> None:
        """Give new token ids a column, as long as there is room."""
        if len(self._vocabulary) == self.tokens:
            return
        for token in chain.from_iterable(texts):
            if token not in self._vocabulary and len(self._vocabulary) < self.tokens:
                self._vocabulary[token] = len(self._vocabulary)

    def cut(self, features: Features) -> None:
        """Set the cuts anew, from what is known so far: float32 (examples, dim)."""
        dimensions = min(features.shape[1], self.cuts)
        self._places[:], self._heights[:] = 0, np.inf
        if dimensions == 0:
            return
        rows = features.astype(np.float64)
        chosen = np.sort(np.argsort(-rows.std(axis=0), kind="stable")[:dimensions])
        each = min(self.cuts // dimensions, MOST_CUTS_EACH)
        levels = np.arange(1, each + 1) / (each + 1)
        heights = np.quantile(rows[:, chosen], levels, axis=0)  # (each, dimensions)
        self._places[: heights.size] = np.tile(chosen, each)
        self._heights[: heights.size] = heights.ravel()

    def of(self, examples: Examples) -> Bits:
        """The flags of examples, bool (examples, width)."""
        flags = np.zeros((len(examples), self.width), np.bool_)
        ids = np.fromiter(chain.from_iterable(examples.tokens), np.int64)
        text = np.repeat(np.arange(len(examples)), [len(each) for each in examples.tokens])
        known, columns = self._sorted()
        found = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        hit = known[found] == ids
        flags[text[hit], columns[found[hit]]] = True
        if self.cuts:
            flags[:, self.tokens :] = examples.features[:, self._places] > self._heights
        return flags

    def name(self, column: int) -> str:
        """What a column says, in words."""
        if column < self.tokens:
            return f"token {self._ids()[column]}"
        cut = column - self.tokens
        return f"feature {self._places[cut]} > {self._heights[cut]:.4g}"

    def graph(self, columns: Columns, to: str) -> Graph:
        """
        Make the nodes that compute flags.

        Args:
            columns: Which, ascending, one at least.
            to: The name of what they compute, float32 (batch, columns), 0 or 1.
        """
        parts = [
            _token_graph(self._ids()[columns[columns < self.tokens]], f"{to} tokens"),
            self._cut_graph(columns[columns >= self.tokens] - self.tokens, f"{to} cuts"),
        ]
        nodes = [node for part in parts for node in part.nodes]
        names = [part.nodes[-1].output[0] for part in parts if part.nodes]
        constants = {name: value for part in parts for name, value in part.constants.items()}
        return Graph([*nodes, helper.make_node("Concat", names, [to], axis=1)], constants)

    def state(self) -> bytes:
        """Everything, the bounds included."""
        state = _State(
            self.tokens,
            self.cuts,
            list(self._vocabulary),
            self._places.astype(np.int64).tobytes(),
            self._heights.tobytes(),
        )
        return msgspec.msgpack.encode(state)

    @classmethod
    def from_state(cls, state: bytes) -> Self:
        """Resume from `state()`."""
        stored = msgspec.msgpack.decode(state, type=_State)
        flags = cls(stored.tokens, stored.cuts)
        flags._vocabulary = {token: column for column, token in enumerate(stored.vocabulary)}
        flags._places = np.frombuffer(stored.places, np.int64).astype(np.intp)
        flags._heights = np.frombuffer(stored.heights, np.float32).copy()
        return flags

    def _ids(self) -> NDArray[np.int64]:
        """The token id of each column, int64 (tokens,)."""
        ids = np.full(self.tokens, _NOTHING, np.int64)
        ids[: len(self._vocabulary)] = list(self._vocabulary)
        return ids

    def _sorted(self) -> tuple[NDArray[np.int64], Columns]:
        """Token ids, ascending, and their columns; one at least."""
        ids = np.array(list(self._vocabulary) or [_NOTHING], np.int64)
        order = np.argsort(ids)
        return ids[order], order

    def _cut_graph(self, cuts: Columns, to: str) -> Graph:
        if not len(cuts):
            return Graph([], {})
        nodes = [
            helper.make_node("Gather", ["features", f"{to} places"], [f"{to} values"], axis=1),
            helper.make_node("Greater", [f"{to} values", f"{to} heights"], [f"{to} above"]),
            helper.make_node("Cast", [f"{to} above"], [to], to=TensorProto.FLOAT),
        ]
        places, heights = self._places[cuts].astype(np.int64), self._heights[cuts]
        return Graph(nodes, {f"{to} places": places, f"{to} heights": heights})


def _token_graph(ids: NDArray[np.int64], to: str) -> Graph:
    """Nodes that say which of these token ids occur, padding aside: float32 (batch, ids)."""
    if not len(ids):
        return Graph([], {})
    constants: Constants = {
        f"{to} ids": ids,
        f"{to} padding": np.array(_PADDING, np.int64),
        f"{to} one": np.array(1, np.float32),
        f"{to} last": np.array([2], np.int64),
        f"{to} sequence": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["attention_mask"], [f"{to} real"], to=TensorProto.BOOL),
        helper.make_node("Where", [f"{to} real", "input_ids", f"{to} padding"], [f"{to} read"]),
        helper.make_node("Unsqueeze", [f"{to} read", f"{to} last"], [f"{to} each"]),
        helper.make_node("Equal", [f"{to} each", f"{to} ids"], [f"{to} equal"]),
        helper.make_node("Cast", [f"{to} equal"], [f"{to} times"], to=TensorProto.FLOAT),
        helper.make_node(
            "ReduceSum", [f"{to} times", f"{to} sequence"], [f"{to} count"], keepdims=0
        ),
        helper.make_node("Min", [f"{to} count", f"{to} one"], [to]),
    ]
    return Graph(nodes, constants)
