"""Ordered rules as a matrix: evaluated in numpy, and as ONNX nodes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from trainer.heads import Constants, Graph, Weights
from trainer.learners.base import Logits
from trainer.learners.flags import Bits, Columns

Literal = tuple[int, bool]  # a flag, and whether it is on


@dataclass(frozen=True)
class RuleList:
    """
    Rules, and what they say.

    Attributes:
        rules: The literals of each, the default rule aside.
        log_shares: The logarithms of what each says, the default rule last, (rules + 1, classes).
    """

    rules: list[list[Literal]]
    log_shares: NDArray[np.float64]

    @property
    def columns(self) -> Columns:
        """The flags that they ask for, ascending; one where there is no rule."""
        asked = [column for rule in self.rules for column, _ in rule]
        return np.unique(np.array(asked or [0], np.intp))

    def scores(self, values: Bits) -> Logits:
        """What the first rule says that covers an example."""
        asked = values[:, self.columns].astype(np.float32)
        signs, needed = self._signs()
        covered = np.hstack([asked @ signs == needed, np.ones((len(values), 1), np.bool_)])
        scores: Logits = self.log_shares[covered.argmax(axis=1)]
        return scores

    def graph(self, of: str, to: str) -> Graph:
        """Make the nodes that do so: a rule covers what has all of its flags and none that it forbids."""
        signs, needed = self._signs()
        constants: Constants = {
            # The default rule has no literal, and needs none.
            f"{to} signs": np.pad(signs, ((0, 0), (0, 1))),
            f"{to} needed": np.append(needed, np.float32(0)),
            f"{to} log shares": self.log_shares.astype(np.float32),
        }
        nodes = [
            helper.make_node("MatMul", [of, f"{to} signs"], [f"{to} met"]),
            helper.make_node("Equal", [f"{to} met", f"{to} needed"], [f"{to} covers"]),
            helper.make_node("Cast", [f"{to} covers"], [f"{to} covered"], to=TensorProto.FLOAT),
            helper.make_node("ArgMax", [f"{to} covered"], [f"{to} rule"], axis=1, keepdims=0),
            helper.make_node("Gather", [f"{to} log shares", f"{to} rule"], [to], axis=0),
        ]
        return Graph(nodes, constants)

    def _signs(self) -> tuple[Weights, Weights]:
        """+1 for a flag that a rule wants, -1 for one that it forbids; how many it wants."""
        columns = self.columns
        signs = np.zeros((len(columns), len(self.rules)), np.float32)
        for place, rule in enumerate(self.rules):
            for column, on in rule:
                signs[np.searchsorted(columns, column), place] = 1 if on else -1
        return signs, np.maximum(signs, 0).sum(axis=0)
