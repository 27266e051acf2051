"""Flags in numpy and as ONNX nodes: the same bits, and the same after a restart."""

import numpy as np
import onnxruntime
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from artefacts.graphs import padded
from trainer.learners.base import Examples, Features
from trainer.learners.flags import Columns, Flags

TOKENS = st.lists(st.integers(0, 60), max_size=8)
# Few different numbers, so that many of them are exactly at a cut.
NUMBERS = st.sampled_from([0.0, 0.1, -0.1, 0.25, 1 / 3, 1e30, -1e30, 1e-30])


@st.composite
def listings(draw: st.DrawFn, dimensions: int = 3) -> Examples:
    texts = draw(st.lists(TOKENS, min_size=1, max_size=12))
    row = st.lists(NUMBERS, min_size=dimensions, max_size=dimensions)
    rows = draw(st.lists(row, min_size=len(texts), max_size=len(texts)))
    return Examples(np.array(rows, np.float32), texts)


def served(flags: Flags, columns: Columns, examples: Examples) -> Features:
    """What ONNX Runtime makes of the nodes."""
    graph = flags.graph(columns, "flags")
    whole = helper.make_graph(
        graph.nodes,
        "flags",
        [
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", "dim"]),
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "sequence"]),
            helper.make_tensor_value_info(
                "attention_mask", TensorProto.INT64, ["batch", "sequence"]
            ),
        ],
        [helper.make_tensor_value_info("flags", TensorProto.FLOAT, ["batch", len(columns)])],
        [numpy_helper.from_array(value, name) for name, value in graph.constants.items()],
    )
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    ids, mask = padded(examples.tokens)
    feeds = {"features": examples.features, "input_ids": ids, "attention_mask": mask}
    found: Features = session.run(["flags"], feeds)[0]
    return found


@given(listings(), listings(), st.data())
@settings(max_examples=40)
def test_nodes_compute_the_same_bits(met: Examples, other: Examples, data: st.DataObject) -> None:
    """Whatever was met before, whichever columns are asked for, and also exactly at a cut."""
    flags = Flags(tokens=10, cuts=9)
    flags.meet(met.tokens)
    if data.draw(st.booleans()):
        flags.cut(met.features)
    asked = data.draw(st.sets(st.integers(0, flags.width - 1), min_size=1))
    columns = np.array(sorted(asked))

    np.testing.assert_array_equal(served(flags, columns, other), flags.of(other)[:, columns])


@given(listings(), listings())
@settings(max_examples=25)
def test_they_resume_from_their_state(met: Examples, other: Examples) -> None:
    """The same bytes, and the same columns for tokens that come later."""
    flags = Flags(tokens=10, cuts=9)
    flags.meet(met.tokens)
    flags.cut(met.features)
    resumed = Flags.from_state(flags.state())
    for each in (flags, resumed):
        each.meet(other.tokens)

    assert flags.state() == resumed.state()
    np.testing.assert_array_equal(flags.of(other), resumed.of(other))


def test_the_vocabulary_is_bounded() -> None:
    """The first token ids have a column; those that come when all are taken have none."""
    flags = Flags(tokens=2, cuts=0)
    flags.meet([[7, 8, 9], [9]])
    listing = Examples(np.zeros((3, 4), np.float32), [[7], [8], [9]])

    assert flags.of(listing).tolist() == [[True, False], [False, True], [False, False]]


def test_cuts_are_quantiles_of_what_varies_most() -> None:
    """Of few features there are several cuts each; of more than cuts, those that vary most have one."""
    rows = np.arange(99, dtype=np.float32)[:, None] * np.array([1, 0, 3], np.float32)
    several, one = Flags(tokens=0, cuts=9), Flags(tokens=0, cuts=2)
    several.cut(rows)
    one.cut(rows)

    assert [several.name(column) for column in (0, 3, 6)] == [
        "feature 0 > 24.5",
        "feature 0 > 49",
        "feature 0 > 73.5",
    ]
    assert [one.name(column) for column in (0, 1)] == ["feature 0 > 49", "feature 2 > 147"]
