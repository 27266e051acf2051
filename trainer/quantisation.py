"""
An encoder whose matrix products are of 8-bit integers: faster and smaller, and a little less exact.

Weights have a scale for each column, activations one for each token, found as they come (ZeroQuant, Yao
et al. 2022): unlike ONNX Runtime's own dynamic quantisation, which has one scale for a batch, the
features of a text do not depend on the texts beside it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from artefacts.graphs import Encoder, Floats
from artefacts.manifest import Quantisation
from artefacts.tokenisation import Tokens
from schemas.errors import RoomstreamError

_MOST = 127
# ONNX Runtime is quick with activations without a sign: their zero is in the middle.
_CONSTANTS: dict[str, NDArray[Any]] = {
    "int8.most": np.array(_MOST, np.float32),
    "int8.least": np.array(1e-10, np.float32),
    "int8.zero": np.array(128, np.float32),
    "int8.zero_point": np.array(128, np.uint8),
}


def quantised(model: bytes) -> bytes:
    """
    Let every product of activations and weights be one of 8-bit integers.

    Args:
        model: An encoder as `export_encoder` writes it, opset 17.
    """
    graph = (proto := onnx.load_from_string(model)).graph
    weights = {each.name: each for each in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    rows: dict[str, tuple[str, str]] = {}  # activations: their integers, and the scales of these
    for name, value in _CONSTANTS.items():
        graph.initializer.append(numpy_helper.from_array(value, name))
    for node in graph.node:
        weight = weights.get(node.input[1]) if node.op_type == "MatMul" else None
        if weight is None:
            nodes.append(node)
            continue
        activations, name = node.input[0], node.output[0]
        if activations not in rows:
            made, rows[activations] = _integers(activations)
            nodes += made
        integers, scale = rows[activations]
        columns, scales = _columns(numpy_helper.to_array(weight))
        graph.initializer.append(numpy_helper.from_array(columns, f"{name}.int8"))
        graph.initializer.append(numpy_helper.from_array(scales, f"{name}.scales"))
        graph.initializer.remove(weight)
        nodes += [
            helper.make_node(
                "MatMulInteger", [integers, f"{name}.int8", "int8.zero_point"], [f"{name}.sums"]
            ),
            helper.make_node("Cast", [f"{name}.sums"], [f"{name}.floats"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name}.floats", scale], [f"{name}.rows"]),
            helper.make_node("Mul", [f"{name}.rows", f"{name}.scales"], [name]),
        ]
    del graph.node[:]
    graph.node.extend(nodes)
    data: bytes = proto.SerializeToString()
    return data


def _columns(weight: Floats) -> tuple[NDArray[np.int8], Floats]:
    """A weight (in, out) as integers, and what each column is to be multiplied by."""
    scales = np.maximum(np.abs(weight).max(axis=0) / _MOST, 1e-10).astype(np.float32)
    return np.rint(weight / scales).astype(np.int8), scales


def _integers(name: str) -> tuple[list[onnx.NodeProto], tuple[str, str]]:
    """Nodes that turn activations (…, in) into integers, and the names of these and of their scales."""
    scale, integers = f"{name}.scale", f"{name}.int8"
    nodes = [
        helper.make_node("Abs", [name], [f"{name}.abs"]),
        helper.make_node("ReduceMax", [f"{name}.abs"], [f"{name}.max"], axes=[-1], keepdims=1),
        helper.make_node("Max", [f"{name}.max", "int8.least"], [f"{name}.top"]),
        helper.make_node("Div", [f"{name}.top", "int8.most"], [scale]),
        helper.make_node("Div", [name, scale], [f"{name}.scaled"]),
        helper.make_node("Round", [f"{name}.scaled"], [f"{name}.round"]),
        helper.make_node("Add", [f"{name}.round", "int8.zero"], [f"{name}.shifted"]),
        helper.make_node("Cast", [f"{name}.shifted"], [integers], to=TensorProto.UINT8),
    ]
    return nodes, (integers, scale)


def quantised_within(
    model: bytes, texts: Sequence[Tokens], accepted: float
) -> tuple[bytes, Quantisation]:
    """
    Quantise an encoder, and compare what both make of some texts.

    Raises:
        RoomstreamError: It loses more than is accepted.
    """
    quick = quantised(model)
    ours, theirs = (Encoder(each).of_tokens(texts).features for each in (quick, model))
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    loss = float(1 - ((ours * theirs).sum(axis=1) / lengths).min())
    if not loss <= accepted:
        raise RoomstreamError(
            f"In 8-bit integers the encoder's features lose {loss:.4f} (1 - cosine), accepted are "
            f"{accepted:g}. Accept more with --int8, or import it without."
        )
    return quick, Quantisation(loss, accepted)
