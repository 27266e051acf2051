"""Fuzzy sets of adaptive resonance: complement coding, and how well they meet."""

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from trainer.heads import Constants, Graph

Rows = NDArray[np.float32]

SIZE = 0.5
"""The share of a box's size in the distance to it: so it is the mean of those to its two corners."""


def complemented(rows: Rows) -> Rows:
    """Code rows of [0, 1] with their complements, so that all have one norm: (rows, 2 axes)."""
    return np.concatenate([rows, np.float32(1) - rows], axis=1)


def centres(templates: Rows) -> Rows:
    """The centres of the boxes that templates (nodes, 2 axes) are: (nodes, axes)."""
    lower, complement = np.split(templates, 2, axis=1)
    middle: Rows = (lower + np.float32(1) - complement) / np.float32(2)
    return middle


def meeting(templates: Rows, coded: Rows) -> Rows:
    """The norm of the fuzzy AND of each template (nodes, width) with a row (width,): (nodes,)."""
    met: Rows = np.minimum(templates, coded).sum(axis=1)
    return met


def meeting_graph(framed: str, templates: Rows, to: str) -> Graph:
    """
    Make the nodes that code rows and compute how they meet templates: float32 (batch, nodes).

    A scan over the batch: what it keeps at a time is nodes × width numbers, whatever the batch.

    Args:
        framed: The name of the rows, float32 (batch, axes).
        templates: float32 (nodes, width).
        to: The name of what they compute.
    """
    row, met = f"{to} row", f"{to} row met"
    body = helper.make_graph(
        [
            helper.make_node("Min", [row, f"{to} templates"], [f"{to} and"]),
            helper.make_node("ReduceSum", [f"{to} and", f"{to} width"], [met], keepdims=0),
        ],
        f"{to} of one",
        [helper.make_tensor_value_info(row, TensorProto.FLOAT, [templates.shape[1]])],
        [helper.make_tensor_value_info(met, TensorProto.FLOAT, [len(templates)])],
    )
    nodes = [
        helper.make_node("Sub", [f"{to} one", framed], [f"{to} complement"]),
        helper.make_node("Concat", [framed, f"{to} complement"], [f"{to} coded"], axis=1),
        helper.make_node("Scan", [f"{to} coded"], [to], body=body, num_scan_inputs=1),
    ]
    constants: Constants = {
        f"{to} one": np.array(1, np.float32),
        f"{to} width": np.array([1], np.int64),
        f"{to} templates": templates,
    }
    return Graph(nodes, constants)


def closeness(templates: Rows, rows: Rows) -> Rows:
    """
    How close rows are to the boxes that templates are.

    A template (u, 1 - v) is the box from corner u to corner v. A row is as far from it as its city-block
    distance and a share of the box's size, the sum of its sides, are together, so that of two boxes
    around it the smaller is closer; both are means over the axes.

    Args:
        templates: float32 (nodes, 2 axes).
        rows: float32 (examples, axes).

    Returns:
        Their negatives, float32 (examples, nodes).
    """
    met = np.stack([meeting(templates, row) for row in complemented(rows)])
    close: Rows = (met + _size(templates)) / np.float32(rows.shape[1])
    return close


def closeness_graph(rows: str, templates: Rows, to: str) -> Graph:
    """Make the nodes that compute `closeness` of what is named `rows`."""
    met = meeting_graph(rows, templates, f"{to} met")
    nodes = [
        helper.make_node("Add", [f"{to} met", f"{to} size"], [f"{to} sum"]),
        helper.make_node("Div", [f"{to} sum", f"{to} axes"], [to]),
    ]
    constants = {
        f"{to} size": _size(templates),
        f"{to} axes": np.array(templates.shape[1] // 2, np.float32),
    }
    return Graph([*met.nodes, *nodes], {**met.constants, **constants})


def _size(templates: Rows) -> Rows:
    """What is added to how templates meet a row: float32 (nodes,)."""
    norms = templates.sum(axis=1, dtype=np.float64)
    added: Rows = (-norms - SIZE * (templates.shape[1] / 2 - norms)).astype(np.float32)
    return added
