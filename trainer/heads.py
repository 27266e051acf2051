"""Heads as ONNX graphs, made without torch."""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper


def linear_head(
    weights: NDArray[np.float32], bias: NDArray[np.float32], temperature: float = 1.0
) -> bytes:
    """
    Make a head of one linear layer.

    Args:
        weights: float32 (dim, classes).
        bias: float32 (classes,).
        temperature: What the logits are divided by.

    Returns:
        A serialised model; the same bytes for the same numbers.
    """
    dimensions, classes = weights.shape
    constants = [
        numpy_helper.from_array((weights / temperature).astype(np.float32), "weights"),
        numpy_helper.from_array((bias / temperature).astype(np.float32), "bias"),
    ]
    nodes = [
        helper.make_node("Gemm", ["features", "weights", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    tokens = ["input_ids", "attention_mask"]
    inputs = [
        helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", dimensions]),
        *(
            helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "sequence"])
            for n in tokens
        ),
    ]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", classes])
        for name in ("logits", "probabilities")
    ]
    graph = helper.make_graph(nodes, "head", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def untrained_head(dimensions: int, classes: int) -> bytes:
    """Make a head that gives every class the same score."""
    return linear_head(np.zeros((dimensions, classes), np.float32), np.zeros(classes, np.float32))
