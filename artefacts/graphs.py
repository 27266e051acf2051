"""The two ONNX graphs of a release: encoder (tokens to features) and head (features to answers)."""

import os
import sys
import tempfile
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from artefacts.batching import token_budget_batches
from artefacts.errors import InferenceError, ReleaseRefused
from artefacts.manifest import Blob
from artefacts.onnx_guard import refuse_external_data
from artefacts.recent_features import RecentFeatures
from artefacts.tokenisation import Tokenizer, Tokens

Ids = NDArray[np.int64]
Floats = NDArray[np.float32]
Part = TypeVar("Part")

_TOKENS = {"input_ids": "tensor(int64)", "attention_mask": "tensor(int64)"}
_FEATURES = {"features": "tensor(float)"}
_ANSWERS = {"logits": "tensor(float)", "probabilities": "tensor(float)"}


class _Graph:
    """An ONNX Runtime session on verified bytes, with exactly the promised inputs and outputs."""

    def __init__(
        self, name: str, model: bytes, inputs: dict[str, str], outputs: dict[str, str], threads: int
    ) -> None:
        refuse_external_data(model)
        self._name = name
        try:
            with _as_file(model) as path:
                self._session = onnxruntime.InferenceSession(
                    path, _options(threads), providers=["CPUExecutionProvider"]
                )
        except Exception as error:
            raise ReleaseRefused(f"{name} cannot be loaded: {error}. Publish it again.") from error
        self._check("inputs", inputs, self._session.get_inputs())
        self._check("outputs", outputs, self._session.get_outputs())
        self._outputs = list(outputs)
        self.width = self._width()

    def run(self, feeds: dict[str, NDArray[np.generic]]) -> list[Floats]:
        expected = (len(feeds["input_ids"]), self.width)
        try:
            outputs: list[Floats] = self._session.run(self._outputs, feeds)
        except Exception as error:
            raise InferenceError(f"{self._name} rejected a batch: {error}") from error
        shapes = [output.shape for output in outputs]
        if any(shape != expected for shape in shapes):
            raise InferenceError(f"{self._name} answered with the shapes {shapes}, not {expected}.")
        return outputs

    def _width(self) -> int:
        shapes = [output.shape for output in self._session.get_outputs()]
        widths = {shape[1] if len(shape) == 2 else None for shape in shapes}
        width = widths.pop()
        if widths or not isinstance(width, int):
            raise ReleaseRefused(
                f"{self._name} has outputs of the shapes {shapes}; promised are rows of one fixed "
                "width. Export it again with this version of roomstream."
            )
        return width

    def _check(self, side: str, promised: dict[str, str], found: list[onnxruntime.NodeArg]) -> None:
        types = {argument.name: argument.type for argument in found}
        if types != promised:
            raise ReleaseRefused(
                f"{self._name} has the {side} {types}, promised are {promised}. "
                "Export it again with this version of roomstream."
            )


@contextmanager
def _as_file(model: bytes) -> Iterator[str]:
    """
    A file with these bytes, for as long as the block lasts; in memory, where the system can.

    ONNX Runtime copies bytes while it holds the interpreter: with a DistilBERT base no thread answers a
    listing for 0.17 s. A file it reads while the others go on.
    """
    if sys.platform == "linux":
        with os.fdopen(os.memfd_create("model.onnx"), "wb") as file:
            file.write(model)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model)
        yield str(path)


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # A spinning thread on a busy machine takes the core from the one that has work.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # what is wrong arrives as an exception
    return options


class Encoded(NamedTuple):
    """
    Texts as an encoder sees them.

    Attributes:
        features: float32 (texts, dim), in order.
        remembered: Texts that were not run: they came twice, or their features were known.
        real_tokens: Tokens of the others.
        padded_tokens: Tokens that were run, padding included.
    """

    features: Floats
    remembered: int
    real_tokens: int
    padded_tokens: int


class Encoder:
    """
    Tokens to features.

    Args:
        model: An ONNX graph.
        threads: Threads of one inference.
        recent_texts: The features of so many texts are remembered.

    Raises:
        ReleaseRefused: The graph cannot be loaded or has other inputs and outputs.
    """

    def __init__(self, model: bytes, threads: int = 1, recent_texts: int = 0) -> None:
        self._recent = RecentFeatures(recent_texts)
        self._golden: dict[tuple[tuple[int, ...], ...], Encoded] = {}
        self._graph = _Graph("encoder.onnx", model, _TOKENS, _FEATURES, threads)
        self.dimensions = self._graph.width

    def features(self, input_ids: Ids, attention_mask: Ids) -> Floats:
        """
        Run the encoder.

        Args:
            input_ids: Padded token ids, int64 (batch, sequence).
            attention_mask: 1 for tokens, 0 for padding, int64 (batch, sequence).

        Returns:
            float32 (batch, dim).

        Raises:
            InferenceError: The session rejected the batch.
        """
        return self._graph.run({"input_ids": input_ids, "attention_mask": attention_mask})[0]

    def of_tokens(self, texts: Sequence[Tokens], pad_id: int = 0) -> Encoded:
        """
        Encode texts of any length, batched by the token budget, each text once.

        Features of remembered texts are the same bits: they do not depend on the batch.

        Raises:
            InferenceError: The session rejected a batch.
        """
        features = np.empty((len(texts), self.dimensions), np.float32)
        places: dict[bytes, list[int]] = {}
        for place, text in enumerate(texts):
            places.setdefault(array("q", text.ids).tobytes(), []).append(place)
        known = self._recent.known(places)
        for key, row in known.items():
            features[places[key]] = row
        new = [key for key in places if key not in known]
        rows = [texts[places[key][0]].ids for key in new]
        lengths, padded_tokens = [len(row) for row in rows], 0
        for batch in token_budget_batches(lengths):
            input_ids, mask = padded([rows[index] for index in batch], pad_id)
            found = dict(
                zip([new[index] for index in batch], self.features(input_ids, mask), strict=True)
            )
            for key, row in found.items():
                features[places[key]] = row
            self._recent.remember(found)
            padded_tokens += input_ids.size
        return Encoded(features, len(texts) - len(new), sum(lengths), padded_tokens)

    def of_golden(self, texts: Sequence[Tokens], pad_id: int = 0) -> Encoded:
        """
        Encode golden inputs. Releases that share this encoder share them: they are run once.

        Raises:
            InferenceError: The session rejected a batch.
        """
        key = tuple(tuple(text.ids) for text in texts)
        if key not in self._golden:
            self._golden = {key: self.of_tokens(texts, pad_id)}
        return self._golden[key]


def padded(rows: Sequence[Sequence[int]], pad_id: int = 0) -> tuple[Ids, Ids]:
    """Pad rows of token ids to the longest: ids and mask, each int64 (batch, sequence)."""
    longest = max(map(len, rows))
    input_ids = np.full((len(rows), longest), pad_id, np.int64)
    mask = np.zeros((len(rows), longest), np.int64)
    for row, ids in enumerate(rows):
        input_ids[row, : len(ids)] = ids
        mask[row, : len(ids)] = 1
    return input_ids, mask


class Head:
    """
    Features, and the tokens they came from, to answers.

    Raises:
        ReleaseRefused: The graph cannot be loaded or has other inputs and outputs.
    """

    def __init__(self, model: bytes, threads: int = 1) -> None:
        self._graph = _Graph("head.onnx", model, _FEATURES | _TOKENS, _ANSWERS, threads)
        self.classes = self._graph.width

    def __call__(
        self, features: Floats, input_ids: Ids, attention_mask: Ids
    ) -> tuple[Floats, Floats]:
        """
        Run the head.

        Returns:
            Logits and probabilities, each float32 (batch, classes).

        Raises:
            InferenceError: The session rejected the batch.
        """
        logits, probabilities = self._graph.run(
            {"features": features, "input_ids": input_ids, "attention_mask": attention_mask}
        )
        return logits, probabilities

    def of_tokens(
        self, features: Floats, texts: Sequence[Tokens], pad_id: int = 0
    ) -> tuple[Floats, Floats]:
        """
        Run the head on texts whose features (texts, dim) are known, in order.

        Returns:
            Logits and probabilities, each float32 (texts, classes).

        Raises:
            InferenceError: The session rejected a batch.
        """
        logits = np.empty((len(texts), self.classes), np.float32)
        probabilities = np.empty_like(logits)
        for batch in token_budget_batches([len(text.ids) for text in texts]):
            rows = [texts[index].ids for index in batch]
            logits[batch], probabilities[batch] = self(features[batch], *padded(rows, pad_id))
        return logits, probabilities


class Encoders:
    """
    The encoders and tokenizers in use by digest: a release that changes only its head loads none again.

    Deleting an ONNX Runtime session returns only part of its memory, so sessions are reused.

    Args:
        capacity: How many stay in memory; the one used longest ago goes first.
        recent_texts: Each remembers the features of so many texts.
    """

    def __init__(self, capacity: int = 3, recent_texts: int = 0) -> None:
        self._capacity = capacity
        self._recent_texts = recent_texts
        self._by_digest: OrderedDict[tuple[str, int], Encoder] = OrderedDict()
        self._tokenizers: OrderedDict[tuple[str, int], Tokenizer] = OrderedDict()

    def get(self, blob: Blob, fetch: Callable[[Blob], bytes], threads: int = 1) -> Encoder:
        """
        Take the encoder of this digest, loading it if it is new.

        Raises:
            ReleaseError: It cannot be fetched or loaded.
        """
        return self._kept(
            self._by_digest,
            (blob.digest, threads),
            lambda: Encoder(fetch(blob), threads, self._recent_texts),
        )

    def tokenizer(self, blob: Blob, fetch: Callable[[Blob], bytes], max_length: int) -> Tokenizer:
        """
        Take the tokenizer of this digest, loading it if it is new.

        Raises:
            ReleaseError: It cannot be fetched or loaded.
        """
        return self._kept(
            self._tokenizers,
            (blob.digest, max_length),
            lambda: Tokenizer(fetch(blob), max_length),
        )

    def _kept(
        self,
        parts: OrderedDict[tuple[str, int], Part],
        key: tuple[str, int],
        load: Callable[[], Part],
    ) -> Part:
        if key not in parts:
            parts[key] = load()
        parts.move_to_end(key)
        while len(parts) > self._capacity:
            parts.popitem(last=False)
        return parts[key]
