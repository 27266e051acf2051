"""
Refuse models that point outside themselves.

An ONNX tensor may keep its data in another file (`external_data`), which no digest of the manifest
covers. This walks the protobuf wire format of a model and looks at every tensor, without the onnx
package, which a worker does not need for anything else. Field numbers are those of onnx.proto3;
the wire format is https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterator

from artefacts.errors import ReleaseRefused

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH = 64
_MAX_KEY = 2**32 - 1  # readers drop what is above, and would see another field than we do

# message → field number → message inside it
_CHILDREN = {
    "Model": {7: "Graph", 20: "TrainingInfo", 25: "Function"},
    "TrainingInfo": {1: "Graph", 2: "Graph"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Function": {7: "Node", 11: "Attribute"},
    "Node": {5: "Attribute"},
    "Attribute": {
        5: "Tensor",
        6: "Graph",
        10: "Tensor",
        11: "Graph",
        22: "SparseTensor",
        23: "SparseTensor",
    },
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
}
_TENSOR_EXTERNAL_DATA = 13
_TENSOR_DATA_LOCATION = 14


def refuse_external_data(model: bytes) -> None:
    """
    Check that every tensor of a serialised ModelProto carries its own data.

    Raises:
        ReleaseRefused: A tensor does not, or these bytes are not a protobuf message.
    """
    _walk("Model", memoryview(model), 0)


def _walk(message: str, data: memoryview, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ReleaseRefused("The ONNX model is nested too deeply to be checked.")
    for number, value in _fields(data):
        if message == "Tensor":
            external = number == _TENSOR_EXTERNAL_DATA or (
                number == _TENSOR_DATA_LOCATION and value != 0
            )
            if external:
                raise ReleaseRefused(
                    "The ONNX model keeps a tensor in another file (external data), which no "
                    "digest covers. Export it with its weights inside."
                )
        child = _CHILDREN.get(message, {}).get(number)
        if child and isinstance(value, memoryview):
            _walk(child, value, depth + 1)


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        if key > _MAX_KEY:
            raise _unreadable()
        wire = key & 7
        if wire == _VARINT:
            number, position = _varint(data, position)
            yield key >> 3, number
            continue
        if wire == _LENGTH:
            length, position = _varint(data, position)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise _unreadable()
        end = position + length
        if end > len(data):
            raise _unreadable()
        yield key >> 3, data[position:end]
        position = end


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise _unreadable()


def _unreadable() -> ReleaseRefused:
    return ReleaseRefused("The ONNX model is cut short or not an ONNX file. Publish it again.")
