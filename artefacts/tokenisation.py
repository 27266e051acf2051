"""Texts to token ids, by the tokenizer of a release."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import tokenizers

from artefacts.errors import InferenceError, ReleaseRefused


class Tokens(NamedTuple):
    """
    One text.

    Attributes:
        ids: At most `max_length` token ids, special tokens included.
        truncated: Whether the end of the text was cut.
    """

    ids: list[int]
    truncated: bool


class Tokenizer:
    """
    The fast tokenizer of a release, on the calling thread only unless `TOKENIZERS_PARALLELISM` is set.

    Padding and truncation that are baked into the file are removed: batches pad as they need, and
    the manifest says how long an input may be.

    Args:
        tokenizer_json: A `tokenizer.json` in the format of the tokenizers library.
        max_length: Tokens of the longest input; longer texts are cut at the end.

    Raises:
        ReleaseRefused: The file is not a tokenizer.
    """

    def __init__(self, tokenizer_json: bytes, max_length: int) -> None:
        # The only switch that the library has: threads of its own take the core from the model.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        try:
            self._tokenizer = tokenizers.Tokenizer.from_buffer(tokenizer_json)
        except BaseException as error:
            _reraise_unless_fault(error)
            raise ReleaseRefused(
                f"tokenizer.json cannot be read: {error}. Publish the release again."
            ) from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length)
        self.pad_id = self._pad_id()

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """
        Encode each text, special tokens included.

        Raises:
            InferenceError: The tokenizer has no answer, such as no token for what it does not know.
        """
        try:
            encodings = self._tokenizer.encode_batch_fast(list(texts))
        except BaseException as error:
            _reraise_unless_fault(error)
            raise InferenceError(f"tokenizer.json cannot encode a text: {error}") from error
        return [Tokens(encoding.ids, bool(encoding.overflowing)) for encoding in encodings]

    def _pad_id(self) -> int:
        for token in ("[PAD]", "<pad>"):
            found: int | None = self._tokenizer.token_to_id(token)
            if found is not None:
                return found
        return 0


def _reraise_unless_fault(error: BaseException) -> None:
    """A panic of the library's Rust code is an error like any other, though Python says it is not."""
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        raise error
