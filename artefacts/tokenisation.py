"""Texts to token ids, by the tokenizer of a release."""

from collections.abc import Sequence
from typing import NamedTuple

import tokenizers

from artefacts.errors import ReleaseRefused


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
    The fast tokenizer of a release, on the calling thread only.

    Padding and truncation that are baked into the file are removed: batches pad as they need, and
    the manifest says how long an input may be.

    Args:
        tokenizer_json: A `tokenizer.json` in the format of the tokenizers library.
        max_length: Tokens of the longest input; longer texts are cut at the end.

    Raises:
        ReleaseRefused: The file is not a tokenizer.
    """

    def __init__(self, tokenizer_json: bytes, max_length: int) -> None:
        try:
            self._tokenizer = tokenizers.Tokenizer.from_buffer(tokenizer_json)
        except Exception as error:
            raise ReleaseRefused(
                f"tokenizer.json cannot be read: {error}. Publish the release again."
            ) from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length)
        self.pad_id = self._pad_id()

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """Encode each text, special tokens included."""
        encodings = self._tokenizer.encode_batch_fast(list(texts))
        return [Tokens(encoding.ids, bool(encoding.overflowing)) for encoding in encodings]

    def _pad_id(self) -> int:
        for token in ("[PAD]", "<pad>"):
            found: int | None = self._tokenizer.token_to_id(token)
            if found is not None:
                return found
        return 0
