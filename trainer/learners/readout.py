"""From nodes that counted labels to probabilities: the distance-weighted nearest nodes."""

from math import isqrt

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from trainer.heads import Constants, Graph
from trainer.learners.base import Logits

Rows = NDArray[np.float32]
Counts = NDArray[np.float64]

LEAST = 1e-3
"""A difference of closeness that is smaller says nothing."""

_TINY = 1e-9


def shares(labels: Counts, counts: Counts, smoothing: float) -> Rows:
    """
    Say how probable the classes are at each node.

    Args:
        labels: Those that each node learned, (nodes, classes).
        counts: Those that were learned at all, (classes,).
        smoothing: So many labels, as common as at all, are added to each node.

    Returns:
        float32 (nodes, classes).
    """
    added = smoothing * counts / counts.sum()
    mixed = (labels + added) / (labels.sum(axis=1, keepdims=True) + smoothing)
    rows: Rows = mixed.astype(np.float32)
    return rows


def scores(closeness: Rows, shares: Rows, nearest: int) -> Logits:
    """
    Mix what the nearest nodes say, each weighed by how much closer it is than the first that is not.

    Dudani 1976, "The Distance-Weighted k-Nearest-Neighbor Rule". So the width of the kernel follows the
    density, and nodes that are equally close as far as float32 goes have equal weights.

    Args:
        closeness: Of nodes to examples, float32 (examples, nodes).
        shares: Of classes at nodes, float32 (nodes, classes).
        nearest: How many nodes have a say, at most; never more than the root of their number.

    Returns:
        Logarithms of probabilities, float64 (examples, classes).
    """
    first_out = _first_out(nearest, closeness.shape[1])
    edge = np.partition(closeness, -first_out, axis=1)[:, -first_out]
    weights = np.maximum(closeness - edge[:, None] + np.float32(LEAST), 0)
    mixed = (weights @ shares) / weights.sum(axis=1, keepdims=True)
    logits: Logits = np.log(mixed.astype(np.float64) + _TINY)
    return logits


def scores_graph(closeness: str, shares: Rows, nearest: int, to: str) -> Graph:
    """Make the nodes that compute `scores` of what is named `closeness`."""
    nodes = [
        helper.make_node("TopK", [closeness, f"{to} k"], [f"{to} top", f"{to} places"]),
        helper.make_node(
            "Slice", [f"{to} top", f"{to} last", f"{to} end", f"{to} one"], [f"{to} edge"]
        ),
        helper.make_node("Sub", [closeness, f"{to} edge"], [f"{to} beyond"]),
        helper.make_node("Add", [f"{to} beyond", f"{to} least"], [f"{to} lifted"]),
        helper.make_node("Relu", [f"{to} lifted"], [f"{to} weights"]),
        helper.make_node("ReduceSum", [f"{to} weights", f"{to} one"], [f"{to} total"]),
        helper.make_node("MatMul", [f"{to} weights", f"{to} shares"], [f"{to} said"]),
        helper.make_node("Div", [f"{to} said", f"{to} total"], [f"{to} mixed"]),
        helper.make_node("Add", [f"{to} mixed", f"{to} tiny"], [f"{to} some"]),
        helper.make_node("Log", [f"{to} some"], [to]),
    ]
    first_out = _first_out(nearest, len(shares))
    constants: Constants = {
        f"{to} k": np.array([first_out], np.int64),
        f"{to} last": np.array([first_out - 1], np.int64),
        f"{to} end": np.array([first_out], np.int64),
        f"{to} one": np.array([1], np.int64),
        f"{to} least": np.array(LEAST, np.float32),
        f"{to} tiny": np.array(_TINY, np.float32),
        f"{to} shares": shares,
    }
    return Graph(nodes, constants)


def _first_out(nearest: int, nodes: int) -> int:
    """Which of the closest nodes is the first that has no say, from 1."""
    return min(min(nearest, isqrt(nodes)) + 1, nodes)
