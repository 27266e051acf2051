"""How a mixture makes one opinion of several: of their probabilities, or of the logarithms of these."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from onnx import helper
from scipy.special import logsumexp, softmax

from trainer.heads import Graph

Said = NDArray[np.float64]
"""What members say: log probabilities, (members, ..., classes)."""


_MEMBERS = "of members"


class Pool(Protocol):
    """A way to pool opinions. Weights are positive and sum to 1, one a member."""

    def of(self, said: Said, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pool what members say: scores (..., classes), whose softmax is the opinion."""

    def gains(self, said: Said, weights: NDArray[np.float64], label: int) -> NDArray[np.float64]:
        """
        How much less the log loss of a label gets with the weight of each member: float64 (members,).

        What is the same for all members counts for nothing, since weights sum to 1.

        Args:
            said: Of one example, (members, classes).
            weights: As they are.
            label: The place of the true class.
        """

    def graph(self, said: Sequence[str], weights: Sequence[float], to: str) -> Graph:
        """Make the nodes that pool these tensors, log probabilities (examples, classes) each."""


class LinearPool:
    """
    The weighted mean of probabilities (Stone 1961, "The Opinion Pool").

    A member that knows a rare class is heard even where the others have never seen its words.
    """

    def of(self, said: Said, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """The logarithm of the mean."""
        each = weights.reshape(-1, *[1] * (said.ndim - 1))
        pooled: NDArray[np.float64] = logsumexp(said, axis=0, b=each)
        return pooled

    def gains(self, said: Said, weights: NDArray[np.float64], label: int) -> NDArray[np.float64]:
        """The share of each member's probability in that of the pool."""
        probabilities = np.exp(said[:, label])
        gains: NDArray[np.float64] = probabilities / (weights @ probabilities)
        return gains

    def graph(self, said: Sequence[str], weights: Sequence[float], to: str) -> Graph:
        """Log weights are added, then it is the logarithm of the sum of exponentials."""
        terms = _terms(said, "Add", np.log(weights), f"{to} terms")
        pool = helper.make_node("ReduceLogSumExp", [f"{to} terms"], [to], axes=[0], keepdims=0)
        return Graph([*terms.nodes, pool], terms.constants)


class LogLinearPool:
    """
    The weighted mean of log probabilities (Genest & Zidek 1986), a product of experts (Hinton 2002).

    Each member has a veto: what one holds to be impossible is.
    """

    def of(self, said: Said, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mean of logarithms."""
        pooled: NDArray[np.float64] = np.tensordot(weights, said, axes=1)
        return pooled

    def gains(self, said: Said, weights: NDArray[np.float64], label: int) -> NDArray[np.float64]:
        """How much surer of the label each member is than, on average, of what the pool says."""
        opinion = softmax(self.of(said, weights))
        gains: NDArray[np.float64] = said[:, label] - said @ opinion
        return gains

    def graph(self, said: Sequence[str], weights: Sequence[float], to: str) -> Graph:
        """Multiplied by the weights, and added."""
        terms = _terms(said, "Mul", np.asarray(weights), f"{to} terms")
        pool = helper.make_node("ReduceSum", [f"{to} terms", _MEMBERS], [to], keepdims=0)
        return Graph([*terms.nodes, pool], terms.constants)


def _terms(said: Sequence[str], weigh: str, factors: NDArray[np.float64], to: str) -> Graph:
    """Every tensor with its factor: (members, examples, classes)."""
    constants: dict[str, NDArray[np.generic]] = {_MEMBERS: np.array([0], np.int64)}
    nodes = []
    terms = [f"{each} term" for each in said]
    for each, term, factor in zip(said, terms, factors, strict=True):
        constants[f"{each} factor"] = np.array(factor, np.float32)
        nodes += [
            helper.make_node(weigh, [each, f"{each} factor"], [f"{each} weighed"]),
            helper.make_node("Unsqueeze", [f"{each} weighed", _MEMBERS], [term]),
        ]
    return Graph([*nodes, helper.make_node("Concat", terms, [to], axis=0)], constants)
