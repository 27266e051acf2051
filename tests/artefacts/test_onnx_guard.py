"""Models that keep data outside themselves are refused wherever they hide it."""

import contextlib
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto, helper

from artefacts.errors import ReleaseRefused
from artefacts.onnx_guard import refuse_external_data
from tests import strategies
from tests.releases import tiny_encoder, tiny_head

HEAD = tiny_head()


def outside() -> TensorProto:
    """A tensor that keeps its data in /etc/passwd."""
    tensor = TensorProto(
        name="outside",
        data_type=TensorProto.FLOAT,
        dims=[2],
        data_location=TensorProto.EXTERNAL,
    )
    tensor.external_data.add(key="location", value="../../../etc/passwd")
    return tensor


def inside() -> TensorProto:
    return onnx.numpy_helper.from_array(np.zeros(2, np.float32), "inside")


def constant(tensor: TensorProto) -> NodeProto:
    return helper.make_node("Constant", [], ["c"], value=tensor)


def graph_of(*nodes: NodeProto) -> GraphProto:
    return helper.make_graph(nodes, "graph", [], [])


def sparse(values: TensorProto, indices: TensorProto) -> SparseTensorProto:
    return SparseTensorProto(values=values, indices=indices, dims=[9])


def in_initializer(tensor: TensorProto) -> ModelProto:
    return helper.make_model(helper.make_graph([], "graph", [], [], [inside(), tensor]))


def in_attribute(tensor: TensorProto) -> ModelProto:
    return helper.make_model(graph_of(constant(tensor)))


def in_attribute_list(tensor: TensorProto) -> ModelProto:
    node = helper.make_node("Custom", [], ["c"], domain="x", many=[inside(), tensor])
    return helper.make_model(graph_of(node))


def in_branch(tensor: TensorProto) -> ModelProto:
    branches = {
        "then_branch": graph_of(constant(inside())),
        "else_branch": graph_of(constant(tensor)),
    }
    return helper.make_model(graph_of(helper.make_node("If", ["x"], ["y"], **branches)))


def in_loop_within_branch(tensor: TensorProto) -> ModelProto:
    loop = helper.make_node("Loop", ["n", "c"], ["y"], body=graph_of(constant(tensor)))
    branches = {"then_branch": graph_of(loop), "else_branch": graph_of()}
    return helper.make_model(graph_of(helper.make_node("If", ["x"], ["y"], **branches)))


def in_graph_list(tensor: TensorProto) -> ModelProto:
    node = helper.make_node("Custom", [], ["c"], domain="x", many=[graph_of(constant(tensor))])
    return helper.make_model(graph_of(node))


def in_sparse_values(tensor: TensorProto) -> ModelProto:
    model = in_initializer(inside())
    model.graph.sparse_initializer.append(sparse(tensor, inside()))
    return model


def in_sparse_indices(tensor: TensorProto) -> ModelProto:
    model = in_initializer(inside())
    model.graph.sparse_initializer.append(sparse(inside(), tensor))
    return model


def in_sparse_attribute(tensor: TensorProto) -> ModelProto:
    node = helper.make_node("Constant", [], ["c"], sparse_value=sparse(tensor, inside()))
    return helper.make_model(graph_of(node))


def in_function(tensor: TensorProto) -> ModelProto:
    model = in_initializer(inside())
    opset = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("x", "f", [], ["c"], [constant(tensor)], opset))
    return model


def in_function_default(tensor: TensorProto) -> ModelProto:
    model = in_initializer(inside())
    function = helper.make_function("x", "f", [], [], [], [helper.make_opsetid("", 17)])
    function.attribute_proto.append(helper.make_attribute("weights", tensor))
    model.functions.append(function)
    return model


def in_training_info(tensor: TensorProto) -> ModelProto:
    model = in_initializer(inside())
    model.training_info.add().algorithm.CopyFrom(graph_of(constant(tensor)))
    return model


PLACES = [value for name, value in list(globals().items()) if name.startswith("in_")]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_data_outside_is_refused_wherever_it_is(place: Callable[[TensorProto], ModelProto]) -> None:
    """Tensors are found in every message of ONNX that can hold one, nested ones too."""
    refuse_external_data(place(inside()).SerializeToString())

    with pytest.raises(ReleaseRefused, match=r"another file.*Export it with its weights inside"):
        refuse_external_data(place(outside()).SerializeToString())


def test_either_mark_is_enough() -> None:
    """A location without the flag, and the flag without a location, are both refused."""
    flag, location = outside(), outside()
    flag.ClearField("external_data")
    location.ClearField("data_location")

    for tensor in (flag, location):
        with pytest.raises(ReleaseRefused, match="another file"):
            refuse_external_data(in_initializer(tensor).SerializeToString())


@pytest.mark.parametrize(
    "model", [tiny_head(), tiny_encoder(), b""], ids=["head", "encoder", "none"]
)
def test_a_whole_model_passes(model: bytes) -> None:
    """Real graphs pass; no bytes are a message without fields, which the session refuses."""
    assert _passes(model)


def test_unknown_fields_are_passed_over() -> None:
    """A newer ONNX may say more, in any wire type."""
    more = b"\x98\x06\x05" + b"\x9a\x06\x02ab" + b"\x9d\x06abcd" + b"\x99\x06abcdefgh"

    assert _passes(HEAD + more)


def test_a_model_that_is_cut_short_is_refused() -> None:
    """No end but the right one passes, unless it falls between two fields of the model."""
    passed = [end for end in range(1, len(HEAD)) if _passes(HEAD[:end])]

    assert len(passed) < 0.05 * len(HEAD)


def _passes(data: bytes) -> bool:
    try:
        refuse_external_data(data)
    except ReleaseRefused:
        return False
    return True


def test_endless_nesting_is_refused() -> None:
    """Branches within branches do not exhaust the stack."""
    graph = graph_of()
    for _ in range(25):
        graph = graph_of(helper.make_node("Loop", [], ["y"], body=graph))

    with pytest.raises(ReleaseRefused, match="nested too deeply"):
        refuse_external_data(helper.make_model(graph).SerializeToString())


def test_a_field_number_that_readers_shorten_is_refused() -> None:
    """Protobuf drops bits above 32 of a key: 7 + 2³² would be a graph to others, but not to us."""
    graph = in_initializer(outside()).graph.SerializeToString()
    key = ((7 << 3) | 2) | 1 << 32
    written = bytes([key & 0x7F | 0x80, 0x80, 0x80, 0x80, key >> 28])
    length = bytes([len(graph) & 0x7F | 0x80, len(graph) >> 7])

    with pytest.raises(ReleaseRefused):
        refuse_external_data(written + length + graph)


@pytest.mark.parametrize("data", [b"\x0b", b"\xff" * 11, b"\x3a\xff", b"no model", b"\x3a\x7f"])
def test_what_is_no_protobuf_is_refused(data: bytes) -> None:
    """Groups, endless numbers and lengths beyond the end have the next step in their message."""
    with pytest.raises(ReleaseRefused, match=r"not an ONNX file. Publish it again"):
        refuse_external_data(data)


@given(data=st.binary(max_size=300) | strategies.damaged(HEAD))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    """Whatever the bytes are, they pass or are refused."""
    with contextlib.suppress(ReleaseRefused):
        refuse_external_data(data)


@given(data=strategies.damaged(in_branch(outside()).SerializeToString()))
def test_damage_hides_nothing_from_the_guard(data: bytes) -> None:
    """What passes has no external data in the eyes of ONNX's own reader either."""
    try:
        refuse_external_data(data)
    except ReleaseRefused:
        return
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except Exception:  # noqa: BLE001 - protobuf's DecodeError is not exported by name
        return
    text = str(model)

    assert "data_location: EXTERNAL" not in text
    assert "external_data {" not in text
