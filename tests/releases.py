"""
Tiny real releases: a WordPiece tokenizer, an embedding-bag encoder and a linear head, made in code.

They behave as a real release does (the same graphs, files and checks), load in milliseconds, and know
a few Spanish and English words for every room type.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from artefacts.classifier import Classifier
from artefacts.manifest import ENCODER, HEAD, TOKENIZER, Blob, Golden, Manifest
from artefacts.store import Store, new_release_id
from trainer.heads import linear_head

ROOM_TYPES = ("Entire home/apt", "Private room", "Shared room", "Hotel room")
WORDS: Mapping[str, Sequence[str]] = {
    "Entire home/apt": ("entire", "apartamento", "flat", "piso", "loft", "casa"),
    "Private room": ("private", "privada", "habitacion", "room", "doble"),
    "Shared room": ("shared", "compartida", "bunk", "litera"),
    "Hotel room": ("hotel", "hostal", "suite", "recepcion"),
}
FILLERS = ("con", "en", "in", "near", "centro", "sunny", "luminoso", "balcon", "view", "the")
KABOOM = "kaboom"
BreaksOn = Literal["nothing", "kaboom", "everything"]
"""A word whose embedding is not a number: any text with it breaks inference."""

_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_VOCABULARY = (*_SPECIALS, *(word for words in WORDS.values() for word in words), *FILLERS, KABOOM)
DIMENSIONS = 8


def tiny_tokenizer() -> bytes:
    """An uncased WordPiece tokenizer of some thirty words, with padding and truncation baked in."""
    tokenizer = Tokenizer(
        models.WordPiece({word: index for index, word in enumerate(_VOCABULARY)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_padding(length=32)
    tokenizer.enable_truncation(32)
    return tokenizer.to_str().encode()


def tiny_encoder(seed: int = 0, breaks_on: BreaksOn = "kaboom") -> bytes:
    """Mean of embeddings over the mask; the words of a room type point the same way."""
    generator = np.random.default_rng(seed)
    table = generator.normal(0, 0.05, (len(_VOCABULARY), DIMENSIONS)).astype(np.float32)
    for axis, words in enumerate(WORDS.values()):
        for word in words:
            table[_VOCABULARY.index(word), axis] += 1
    if breaks_on != "nothing":
        first = len(_SPECIALS) if breaks_on == "everything" else _VOCABULARY.index(KABOOM)
        table[first:] = np.nan
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["embedded"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["mask3"]),
        helper.make_node("Mul", ["embedded", "mask3"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "middle"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["mask", "middle"], ["count"], keepdims=1),
        helper.make_node("Div", ["sum", "count"], ["features"]),
    ]
    constants = [
        numpy_helper.from_array(table, "table"),
        numpy_helper.from_array(np.array([2], np.int64), "last"),
        numpy_helper.from_array(np.array([1], np.int64), "middle"),
    ]
    graph = helper.make_graph(
        nodes,
        "encoder",
        [
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "sequence"]),
            helper.make_tensor_value_info(
                "attention_mask", TensorProto.INT64, ["batch", "sequence"]
            ),
        ],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", DIMENSIONS])],
        constants,
    )
    return _model(graph)


def tiny_head(labels: Sequence[str] = ROOM_TYPES, scale: float = 12.0) -> bytes:
    """A linear head: each room type listens to its own axis; unknown labels to none."""
    weights = np.zeros((DIMENSIONS, len(labels)), np.float32)
    for column, label in enumerate(labels):
        if label in ROOM_TYPES:
            weights[ROOM_TYPES.index(label), column] = scale
    return linear_head(weights, np.zeros(len(labels), np.float32))


def tiny_release(
    store: Store,
    labels: Sequence[str] = ROOM_TYPES,
    scale: float = 12.0,
    seed: int = 0,
    review_below: float = 0.6,
    parent: str | None = None,
    golden: Sequence[Golden] | None = None,
    breaks_on: BreaksOn = "kaboom",
) -> Manifest:
    """
    Publish a tiny release.

    Args:
        store: Where to.
        labels: Its classes; those that are no room type are never chosen.
        scale: Steepness of the head; another value makes another head on the same encoder, and 0
            one that gives every label the same score.
        seed: Another value makes another encoder.
        review_below: Answers with a lower confidence ask for review.
        parent: The release before it.
        golden: Instead of true golden inputs, such as wrong ones.
        breaks_on: The words that break its encoder: KABOOM alone, none, or everything it knows (and
            then without golden inputs, so that nobody notices).
    """
    golden = [] if breaks_on == "everything" else golden
    parts = {
        ENCODER: tiny_encoder(seed, breaks_on),
        HEAD: tiny_head(labels, scale),
        TOKENIZER: tiny_tokenizer(),
    }
    blobs = {role: store.put(data) for role, data in parts.items()}
    created_at = datetime.now(UTC)
    manifest = Manifest(
        release=new_release_id(created_at, Blob.of(parts[HEAD])),
        created_at=created_at,
        labels=list(labels),
        max_length=16,
        feature_dimensions=DIMENSIONS,
        review_below=review_below,
        blobs=blobs,
        parent=parent,
        base_model="tiny",
        learner="tiny",
        golden=[],
    )
    manifest = _with(manifest, golden if golden is not None else _golden(manifest, store))
    store.publish(manifest)
    return manifest


def load_tiny(store: Store, **options: float) -> Classifier:
    """Publish a tiny release and load it."""
    return Classifier.load(tiny_release(store, **options), store.get)  # type: ignore[arg-type]


def _golden(manifest: Manifest, store: Store) -> list[Golden]:
    texts = ["Habitación privada con balcón", "Entire flat near the centro", "litera compartida"]
    classifier = Classifier.load(manifest, store.get)
    logits = classifier.infer(classifier.tokenise(texts)).logits
    return [Golden(text, row.tolist()) for text, row in zip(texts, logits, strict=True)]


def _with(manifest: Manifest, golden: Sequence[Golden]) -> Manifest:
    return msgspec.structs.replace(manifest, golden=list(golden))


def _model(graph: onnx.GraphProto) -> bytes:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data
