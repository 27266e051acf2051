"""Heads as ONNX graphs, made without torch."""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Weights = NDArray[np.float32]


def linear_head(weights: Weights, bias: Weights) -> bytes:
    """
    Make a head of one linear layer.

    Args:
        weights: float32 (dim, classes).
        bias: float32 (classes,).

    Returns:
        A serialised model; the same bytes for the same numbers.
    """
    return _head(
        [helper.make_node("Gemm", ["features", "weights", "bias"], ["logits"])],
        {"weights": weights, "bias": bias},
        *weights.shape,
    )


def untrained_head(dimensions: int, classes: int) -> bytes:
    """Make a head that gives every class the same score."""
    return linear_head(np.zeros((dimensions, classes), np.float32), np.zeros(classes, np.float32))


def two_layer_head(
    hidden_weights: Weights, hidden_bias: Weights, weights: Weights, bias: Weights
) -> bytes:
    """
    Make a head of two layers with a ReLU between them, as DistilBertForSequenceClassification has.

    Args:
        hidden_weights: float32 (dim, hidden).
        hidden_bias: float32 (hidden,).
        weights: float32 (hidden, classes).
        bias: float32 (classes,).
    """
    nodes = [
        helper.make_node("Gemm", ["features", "hidden_weights", "hidden_bias"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "weights", "bias"], ["logits"]),
    ]
    constants = {
        "hidden_weights": hidden_weights,
        "hidden_bias": hidden_bias,
        "weights": weights,
        "bias": bias,
    }
    return _head(nodes, constants, len(hidden_weights), len(bias))


def _head(
    nodes: Sequence[onnx.NodeProto], constants: dict[str, Weights], dimensions: int, classes: int
) -> bytes:
    """Wrap nodes that make `logits` into a head: features and tokens in, logits and scores out."""
    softmax = helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1)
    inputs = [
        _value("features", TensorProto.FLOAT, dimensions),
        _value("input_ids", TensorProto.INT64, "sequence"),
        _value("attention_mask", TensorProto.INT64, "sequence"),
    ]
    outputs = [_value(name, TensorProto.FLOAT, classes) for name in ("logits", "probabilities")]
    tensors = [
        numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name)
        for name, values in constants.items()
    ]
    graph = helper.make_graph([*nodes, softmax], "head", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _value(name: str, kind: int, width: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, ["batch", width])
