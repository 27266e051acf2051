"""Token 1-grams and 2-grams as buckets: one hash, in numpy and as ONNX nodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper
from scipy.sparse import csr_array

from trainer.heads import Graph

BUCKETS = 1 << 16

# bucket(first, second) = (first * _FIRST + second * _SECOND) mod _PRIME mod BUCKETS, where a 1-gram is
# what follows 0: Carter & Wegman 1979, "Universal classes of hash functions". Token ids are below
# 2^31, the factors below 2^30: no int64 overflows.
_FIRST, _SECOND = 482_284_993, 746_113_006
_PRIME = (1 << 31) - 1

Buckets = NDArray[np.int64]


@dataclass(frozen=True)
class Bags:
    """
    The n-grams of some texts.

    Attributes:
        buckets: Those that occur, each once, int64 (buckets,).
        shares: How often each occurs in each text over the square root of the text's number of
            n-grams, sparse float64 (texts, buckets).
    """

    buckets: Buckets
    shares: csr_array


def bags_of(texts: Sequence[Sequence[int]]) -> Bags:
    """
    Hash every 1-gram and 2-gram of texts, special tokens included.

    Args:
        texts: The token ids of each, without padding. A text without a token has no n-gram.
    """
    ids = np.fromiter(chain.from_iterable(texts), np.int64)
    text = np.repeat(np.arange(len(texts)), [len(each) for each in texts])
    first, second = ids * _FIRST, ids * _SECOND
    same_text = text[:-1] == text[1:]
    sums = np.concatenate([second, (first[:-1] + second[1:])[same_text]])
    owner = np.concatenate([text, text[1:][same_text]])
    buckets, column = np.unique(sums % _PRIME % BUCKETS, return_inverse=True)
    values = 1 / np.sqrt(np.bincount(owner, minlength=len(texts)))[owner]
    return Bags(buckets, csr_array((values, (owner, column)), shape=(len(texts), len(buckets))))


def ngram_graph() -> Graph:
    """
    Make the nodes that hash `input_ids`.

    They compute `buckets`, int64 (batch, ngrams); `present`, int32 (batch, ngrams), 0 where there is
    padding; and `length`, float32 (batch, 1), the square root of the number of n-grams.
    """
    integers = {
        "first factor": _FIRST,
        "second factor": _SECOND,
        "prime": _PRIME,
        "bucket count": BUCKETS,
        "start": [0],
        "next": [1],
        "last": [-1],
        "end": [np.iinfo(np.int64).max],
        "token axis": [1],
    }
    constants = {name: np.array(value, np.int64) for name, value in integers.items()}
    nodes = [
        _node("Mul", ["input_ids", "first factor"], "first"),
        _node("Mul", ["input_ids", "second factor"], "second"),
        _node("Slice", ["first", "start", "last", "token axis"], "before"),
        _node("Slice", ["second", "next", "end", "token axis"], "after"),
        _node("Add", ["before", "after"], "pairs"),
        _node("Concat", ["second", "pairs"], "sums", axis=1),
        _node("Mod", ["sums", "prime"], "rests"),
        _node("Mod", ["rests", "bucket count"], "buckets"),
        _node("Slice", ["attention_mask", "next", "end", "token axis"], "later mask"),
        _node("Concat", ["attention_mask", "later mask"], "mask", axis=1),
        _node("Cast", ["mask"], "present", to=TensorProto.INT32),
        _node("Cast", ["mask"], "mask of floats", to=TensorProto.FLOAT),
        _node("ReduceSum", ["mask of floats", "token axis"], "count", keepdims=1),
        _node("Max", ["count", "one"], "count or one"),
        _node("Sqrt", ["count or one"], "length"),
    ]
    return Graph(nodes, {**constants, "one": np.array(1, np.float32)})


def bag_graph(
    index: NDArray[np.int32], rows: NDArray[np.float32], bias: NDArray[np.float32], to: str
) -> Graph:
    """
    Make the nodes that sum the weights of all n-grams, divide by `length`, and add a bias.

    Args:
        index: The row of each bucket, int32 (BUCKETS,); 0 for one that has none.
        rows: Weights, float32 (rows, classes); row 0 is zeros.
        bias: float32 (classes,).
        to: The name of what they compute, float32 (batch, classes).
    """
    hashing = ngram_graph()
    constants = {f"{to} index": index, f"{to} rows": rows, f"{to} bias": bias}
    nodes = [
        _node("Gather", [f"{to} index", "buckets"], f"{to} row or padding"),
        _node("Mul", [f"{to} row or padding", "present"], f"{to} row"),
        _node("Gather", [f"{to} rows", f"{to} row"], f"{to} weights"),
        _node("ReduceSum", [f"{to} weights", "token axis"], f"{to} sum", keepdims=0),
        _node("Div", [f"{to} sum", "length"], f"{to} mean"),
        _node("Add", [f"{to} mean", f"{to} bias"], to),
    ]
    return Graph([*hashing.nodes, *nodes], {**hashing.constants, **constants})


def _node(kind: str, inputs: list[str], output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(kind, inputs, [output], **attributes)
