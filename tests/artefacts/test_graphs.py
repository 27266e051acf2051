"""Graphs with other inputs, outputs or answers than promised never serve."""

import sys
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from artefacts.errors import InferenceError, ReleaseRefused
from artefacts.graphs import Encoder, Encoders, Head, padded
from artefacts.manifest import Blob
from artefacts.tokenisation import Tokens
from tests.releases import DIMENSIONS, tiny_encoder, tiny_head

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
BATCH, SEQUENCE = "batch", "sequence"
CLASSES = 4
Shape = Sequence[str | int] | None


def value(name: str, kind: int = FLOAT, shape: Shape = (BATCH, CLASSES)) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


TOKENS = [value(name, INT64, (BATCH, SEQUENCE)) for name in ("input_ids", "attention_mask")]
ANSWERS = ("logits", "probabilities")
FEATURES = value("features", FLOAT, (BATCH, CLASSES))
SOFTMAX = helper.make_node("Softmax", ["features"], ["probabilities"])
IDENTITY = helper.make_node("Identity", ["features"], ["logits"])


def model(
    nodes: Sequence[NodeProto], inputs: Sequence[ValueInfoProto], outputs: Sequence[ValueInfoProto]
) -> bytes:
    """A graph that is not checked, as a stranger might make it."""
    graph = helper.make_graph(nodes, "graph", inputs, outputs)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data: bytes = made.SerializeToString()
    return data


def head_of(
    *nodes: NodeProto,
    inputs: Sequence[ValueInfoProto] = (FEATURES, *TOKENS),
    outputs: Sequence[ValueInfoProto] = (value("logits"), value("probabilities")),
) -> Head:
    return Head(model(nodes or (IDENTITY, SOFTMAX), inputs, outputs))


def batch(rows: int, width: int = CLASSES) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.arange(rows * width, dtype=np.float32).reshape(rows, width)


def test_a_loaded_graph_holds_no_second_copy_of_its_model() -> None:
    """The session has its own; the bytes it came from go when their reader lets go."""
    data = tiny_encoder()
    before = sys.getrefcount(data)
    encoder = Encoder(data)

    assert sys.getrefcount(data) == before
    assert encoder.features(*padded([[2, 3]])).shape == (1, DIMENSIONS)


def large_encoder(megabytes: int) -> bytes:
    """An encoder that is mostly weights, all of which an answer needs."""
    weights = np.ones((megabytes << 18, 1), np.float32)
    nodes = [
        helper.make_node("ReduceSum", ["weights"], ["sum"], keepdims=1),
        helper.make_node("Cast", ["input_ids"], ["ids"], to=FLOAT),
        helper.make_node("ReduceSum", ["ids", "axes"], ["of_text"], keepdims=1),
        helper.make_node("Mul", ["of_text", "sum"], ["features"]),
    ]
    graph = helper.make_graph(
        nodes, "graph", TOKENS, [value("features", FLOAT, (BATCH, 1))],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.array([1]), "axes")],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data: bytes = made.SerializeToString()
    return data


def longest_pause_while(work: Callable[[], object]) -> float:
    """Seconds for which a thread that wakes up every millisecond could not go on, at most."""
    at_work = threading.Thread(target=work)
    longest, before = 0.0, time.perf_counter()
    at_work.start()
    while at_work.is_alive():
        time.sleep(0.001)
        now = time.perf_counter()
        longest, before = max(longest, now - before), now
    return longest


def test_other_threads_go_on_while_an_encoder_is_loaded() -> None:
    """They answer listings. Busy machines pause any thread: the best of some loads counts."""
    data = large_encoder(128)
    copied = min(longest_pause_while(lambda: bytes(bytearray(data))) for _ in range(3))
    loaded = min(longest_pause_while(lambda: Encoder(data)) for _ in range(3))

    assert loaded < copied / 4, (loaded, copied)


def test_a_graph_as_promised_answers() -> None:
    """Every row has its own answer, as wide as there are classes."""
    head = head_of()
    logits, probabilities = head(batch(3), *padded([[2, 3]] * 3))

    assert head.classes == CLASSES
    np.testing.assert_array_equal(batch(3), logits)
    np.testing.assert_allclose(np.ones(3), probabilities.sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize(
    "inputs",
    [
        [FEATURES],
        [FEATURES, *TOKENS, value("more")],
        [FEATURES, TOKENS[0], value("mask", INT64)],
        [FEATURES, TOKENS[0], value("attention_mask", FLOAT, (BATCH, SEQUENCE))],
    ],
    ids=["missing", "more", "other name", "other type"],
)
def test_other_inputs_are_refused(inputs: Sequence[ValueInfoProto]) -> None:
    """Missing, additional, renamed and retyped inputs are told with what was promised."""
    with pytest.raises(ReleaseRefused, match=r"head\.onnx has the inputs .*promised are"):
        head_of(inputs=inputs)


@pytest.mark.parametrize(
    "outputs",
    [[value("logits")], [value("probabilities"), value("logits"), FEATURES]],
    ids=["missing", "more"],
)
def test_other_outputs_are_refused(outputs: Sequence[ValueInfoProto]) -> None:
    """An encoder is no head, and neither is a graph with more or fewer answers."""
    with pytest.raises(ReleaseRefused, match=r"head\.onnx has the outputs"):
        head_of(outputs=outputs)


def test_a_head_is_no_encoder() -> None:
    """Files that were mixed up are told apart by their inputs."""
    with pytest.raises(ReleaseRefused, match=r"encoder\.onnx has the inputs"):
        Encoder(tiny_head())
    with pytest.raises(ReleaseRefused, match=r"head\.onnx has the inputs"):
        Head(tiny_encoder())


@pytest.mark.parametrize(
    "shape", [(BATCH, "classes"), (BATCH, SEQUENCE, CLASSES), (CLASSES,), None], ids=str
)
def test_answers_without_a_fixed_width_are_refused(shape: Shape) -> None:
    """Open widths, other ranks and unknown shapes are told before a text is answered."""
    features, *outputs = (value(name, FLOAT, shape) for name in ("features", *ANSWERS))

    with pytest.raises(ReleaseRefused, match="one fixed width"):
        head_of(inputs=[features, *TOKENS], outputs=outputs)


def test_answers_of_different_width_are_refused() -> None:
    """A probability that belongs to no logit means nothing."""
    nodes = [IDENTITY, helper.make_node("Concat", ["features"] * 2, ["probabilities"], axis=1)]

    with pytest.raises(ReleaseRefused, match="one fixed width"):
        head_of(*nodes, outputs=[value("logits"), value("probabilities", FLOAT, (BATCH, 8))])


@pytest.mark.parametrize("data", [b"", b"no model", tiny_head()[:-40]])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    """Empty and damaged files end in the same error as wrong ones."""
    with pytest.raises(ReleaseRefused, match="Publish it again"):
        Head(data)


def test_an_operator_that_this_machine_lacks_is_refused() -> None:
    """A graph of a newer ONNX, or with custom operators, names itself."""
    node = helper.make_node("Teleport", ["features"], ["logits"])

    with pytest.raises(ReleaseRefused, match=r"head\.onnx cannot be loaded"):
        head_of(node, SOFTMAX)


def test_a_rejected_batch_is_an_inference_error() -> None:
    """A token that the encoder has no embedding for fails its batch only."""
    encoder = Encoder(tiny_encoder())
    ids, mask = padded([[2, 4, 3]])

    with pytest.raises(InferenceError, match=r"encoder\.onnx rejected a batch"):
        encoder.features(ids + 1_000, mask)
    assert encoder.features(ids, mask).shape == (1, DIMENSIONS)


def test_features_of_another_width_are_an_inference_error() -> None:
    """A head on the wrong encoder does not answer."""
    with pytest.raises(InferenceError, match=r"head\.onnx rejected a batch"):
        Head(tiny_head())(batch(2, DIMENSIONS + 1), *padded([[2, 3]] * 2))


def test_one_answer_for_a_whole_batch_is_an_inference_error() -> None:
    """A graph that mixes the texts of a batch never spreads one answer over all of them."""
    mixing = helper.make_node("ReduceMean", ["features"], ["logits"], axes=[0], keepdims=1)
    head = head_of(mixing, SOFTMAX)

    with pytest.raises(InferenceError, match=r"answered with the shapes .*not \(3, 4\)"):
        head(batch(3), *padded([[2, 3]] * 3))


@given(rows=st.lists(st.lists(st.integers(1, 99), max_size=9), min_size=1, max_size=5))
def test_padding_keeps_ids_and_marks_them(rows: list[list[int]]) -> None:
    """The mask gives back exactly the ids that went in; the rest is the padding token."""
    ids, mask = padded(rows, pad_id=7)

    assert rows == [row[marks == 1].tolist() for row, marks in zip(ids, mask, strict=True)]
    assert (ids[mask == 0] == 7).all()
    assert ids.shape == mask.shape == (len(rows), max(map(len, rows)))
    assert ids.dtype == mask.dtype == np.int64


def test_texts_of_any_length_keep_their_order() -> None:
    """A window is cut into batches and put together again, by encoder and head alike."""
    encoder, head = Encoder(tiny_encoder()), Head(tiny_head())
    texts = [Tokens([2, *[4 + index % 20] * (index * 7 % 60), 3], False) for index in range(30)]
    features = encoder.of_tokens(texts).features
    logits, probabilities = head.of_tokens(features, texts)

    for index, text in enumerate(texts):
        alone = encoder.of_tokens([text]).features
        np.testing.assert_allclose(alone[0], features[index], atol=1e-5)
        one_logits, one_probabilities = head.of_tokens(alone, [text])
        np.testing.assert_allclose(one_logits[0], logits[index], atol=1e-4)
        np.testing.assert_allclose(one_probabilities[0], probabilities[index], atol=1e-5)


# --- encoders ---


class Shelf:
    """Encoders by digest, and which of them were fetched."""

    def __init__(self) -> None:
        self.models = {Blob.of(data): data for data in map(tiny_encoder, range(3))}
        self.blobs = list(self.models)
        self.fetched: list[int] = []

    def fetch(self, blob: Blob) -> bytes:
        """Read an encoder, and remember which."""
        self.fetched.append(self.blobs.index(blob))
        return self.models[blob]


def test_an_encoder_is_loaded_once() -> None:
    """The same digest is the same session, and costs no download."""
    shelf, encoders = Shelf(), Encoders()
    first = encoders.get(shelf.blobs[0], shelf.fetch)

    assert first is encoders.get(shelf.blobs[0], shelf.fetch)
    assert shelf.fetched == [0]


def test_other_threads_are_another_session() -> None:
    """How many threads a session has is fixed when it is loaded."""
    shelf, encoders = Shelf(), Encoders()

    assert encoders.get(shelf.blobs[0], shelf.fetch) is not encoders.get(
        shelf.blobs[0], shelf.fetch, threads=2
    )


def test_the_encoder_used_longest_ago_goes_first() -> None:
    """With room for two, a third one takes the place of the one that nobody asked for since."""
    shelf, encoders = Shelf(), Encoders(capacity=2)
    for number in (0, 1, 0, 2, 0, 1):
        encoders.get(shelf.blobs[number], shelf.fetch)

    assert shelf.fetched == [0, 1, 2, 1]


def test_golden_inputs_are_run_once() -> None:
    """The same features, without a run; other inputs are run, and so are these by another encoder."""
    encoder, golden = Encoder(tiny_encoder()), [Tokens([2, 5, 3], truncated=False)]
    first = encoder.of_golden(golden)

    assert encoder.of_golden(golden) is first
    assert (first.features == encoder.of_tokens(golden).features).all()
    other = encoder.of_golden([Tokens([2, 6, 3], truncated=False)])
    assert (other.features != first.features).any()
    assert (Encoder(tiny_encoder(1)).of_golden(golden).features != first.features).any()


def test_a_refused_encoder_is_not_kept() -> None:
    """A failed load is tried afresh, and takes no place."""
    shelf, encoders = Shelf(), Encoders(capacity=1)
    kept = encoders.get(shelf.blobs[0], shelf.fetch)

    with pytest.raises(ReleaseRefused):
        encoders.get(Blob.of(b"x"), lambda _: b"x")
    assert kept is encoders.get(shelf.blobs[0], shelf.fetch)
