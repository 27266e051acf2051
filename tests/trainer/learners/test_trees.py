"""Trees as arrays: what numpy says, the graph says too."""

import numpy as np
import onnxruntime
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from trainer.learners.trees import Grown, Tree

COLUMNS, CLASSES = 4, 3
COUNTS = st.lists(st.integers(0, 9), min_size=CLASSES, max_size=CLASSES).map(
    lambda counts: np.array(counts, float)
)
# A third is between two float32, and those are among the values.
THIRDS = [float(np.float32(1 / 3)), float(np.nextafter(np.float32(1 / 3), np.float32(0)))]
THRESHOLDS = st.sampled_from([1 / 3, 0.5, -1.0, 1e30, *THIRDS])
VALUES = st.sampled_from([0.0, 0.5, 1.0, -1.0, 1e30, *THIRDS])


def branch(children: st.SearchStrategy[Grown]) -> st.SearchStrategy[Grown]:
    columns = st.integers(0, COLUMNS - 1)
    return st.builds(Grown, COUNTS, columns, THRESHOLDS, children, children)


GROWN = st.recursive(st.builds(Grown, COUNTS), branch, max_leaves=20)


def leaf(root: Grown, row: list[float]) -> Grown:
    """Where a row comes to, one question after another."""
    while root.off is not None and root.on is not None:
        root = root.on if row[root.column] > root.threshold else root.off
    return root


def served(tree: Tree, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """What ONNX Runtime makes of the nodes."""
    graph = tree.graph("values", "scores")
    whole = helper.make_graph(
        graph.nodes,
        "tree",
        [helper.make_tensor_value_info("values", TensorProto.FLOAT, ["batch", "columns"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in graph.constants.items()],
    )
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    scores: NDArray[np.float32] = session.run(["scores"], {"values": values[:, tree.columns]})[0]
    return scores


@given(GROWN, st.lists(st.lists(VALUES, min_size=COLUMNS, max_size=COLUMNS), min_size=1))
@settings(max_examples=50)
def test_numpy_and_graph_follow_the_questions(root: Grown, rows: list[list[float]]) -> None:
    """Each row comes to its leaf, whatever the shape of the tree, and also exactly at a threshold."""
    tree, values = Tree.of(root), np.array(rows, np.float32)
    found = tree.leaves(values)
    leaves = {id(node): place for place, node in enumerate(level_by_level(root))}

    assert [leaves[id(leaf(root, row))] for row in values.astype(float).tolist()] == found.tolist()
    np.testing.assert_allclose(served(tree, values), tree.scores(values), rtol=1e-6)


def level_by_level(root: Grown) -> list[Grown]:
    nodes = [root]
    for node in nodes:
        if node.off is not None and node.on is not None:
            nodes += [node.off, node.on]
    return nodes


@given(GROWN)
def test_shares_are_probabilities(root: Grown) -> None:
    """At every node, also where nothing came: they sum to 1 and none is 0."""
    shares = np.exp(Tree.of(root).log_shares)

    assert shares.min() > 0
    np.testing.assert_allclose(shares.sum(axis=1), 1)


def test_a_leaf_without_labels_says_what_its_parent_does() -> None:
    """Two labels of its own count as much as the parent's word."""
    new, old = Grown(np.zeros(2)), Grown(np.array([0.0, 2.0]))
    tree = Tree.of(Grown(np.array([0.0, 2.0]), 0, 0.5, new, old))

    np.testing.assert_allclose(np.exp(tree.log_shares), [[1 / 4, 3 / 4]] * 2 + [[1 / 8, 7 / 8]])
