"""Heads as ONNX graphs, made without torch."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Weights = NDArray[np.float32]
Constants = Mapping[str, NDArray[np.generic]]


class Graph(NamedTuple):
    """
    A part of a head, which may read `features`, `input_ids` and `attention_mask`.

    Attributes:
        nodes: In the order in which they run.
        constants: What they read besides, by name.
    """

    nodes: list[onnx.NodeProto]
    constants: Constants


def head_of(graph: Graph, classes: int) -> bytes:
    """
    Make a head of what computes `logits`, float32 (batch, classes).

    Returns:
        A serialised model; the same bytes for the same nodes and numbers.
    """
    softmax = helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1)
    inputs = [
        _value("features", TensorProto.FLOAT, "dim"),
        _value("input_ids", TensorProto.INT64, "sequence"),
        _value("attention_mask", TensorProto.INT64, "sequence"),
    ]
    outputs = [_value(name, TensorProto.FLOAT, classes) for name in ("logits", "probabilities")]
    tensors = [
        numpy_helper.from_array(np.ascontiguousarray(values), name)
        for name, values in graph.constants.items()
    ]
    whole = helper.make_graph([*graph.nodes, softmax], "head", inputs, outputs, tensors)
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return _checked(model)


def linear(weights: Weights, bias: Weights, to: str = "logits", of: str = "features") -> Graph:
    """
    Make one linear layer.

    Args:
        weights: float32 (dim, classes).
        bias: float32 (classes,).
        to: The name of what it computes, float32 (batch, classes).
        of: The name of what it reads, float32 (batch, dim).
    """
    names = [f"{to} weights", f"{to} bias"]
    node = helper.make_node("Gemm", [of, *names], [to])
    return Graph([node], dict(zip(names, (weights, bias), strict=True)))


def linear_head(weights: Weights, bias: Weights) -> bytes:
    """
    Make a head of one linear layer.

    Args:
        weights: float32 (dim, classes).
        bias: float32 (classes,).

    Returns:
        A serialised model; the same bytes for the same numbers.
    """
    return head_of(linear(weights, bias), len(bias))


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
    return head_of(Graph(nodes, constants), len(bias))


def calibrated_head(head: bytes, temperature: float, correction: Sequence[float]) -> bytes:
    """
    Make a head that serves (logits + correction) / temperature, and their softmax.

    Args:
        head: Any head.
        temperature: Above 0.
        correction: One a class.

    Returns:
        A serialised model; the head itself where nothing is to be done.
    """
    if temperature == 1 and not any(correction):
        return head
    model = onnx.load_from_string(head)
    graph = model.graph
    for node in graph.node:
        node.output[:] = ["learned_logits" if name == "logits" else name for name in node.output]
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(values, np.float32), name)
        for name, values in (("correction", correction), ("temperature", temperature))
    )
    calibration = [
        helper.make_node("Add", ["learned_logits", "correction"], ["corrected_logits"]),
        helper.make_node("Div", ["corrected_logits", "temperature"], ["logits"]),
    ]
    first = next(place for place, node in enumerate(graph.node) if "logits" in node.input)
    nodes = [*graph.node[:first], *calibration, *graph.node[first:]]
    del graph.node[:]
    graph.node.extend(nodes)
    return _checked(model)


def _checked(model: onnx.ModelProto) -> bytes:
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _value(name: str, kind: int, width: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, ["batch", width])
