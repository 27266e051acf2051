"""Texts as learners see them, by the tokenizer and the encoder of a release."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from artefacts.graphs import Encoder
from artefacts.manifest import ENCODER, TOKENIZER, Blob, Manifest
from artefacts.tokenisation import Tokenizer
from trainer.learners.base import Examples


@dataclass(frozen=True)
class TextEncoder:
    """The parts of a release that a head stands on."""

    tokenizer: Tokenizer
    encoder: Encoder

    @classmethod
    def of_parts(cls, parts: Mapping[str, bytes], max_length: int) -> Self:
        """
        Load them from the files of a release, by role.

        Raises:
            ReleaseRefused: One of them cannot be loaded.
        """
        return cls(Tokenizer(parts[TOKENIZER], max_length), Encoder(parts[ENCODER]))

    @classmethod
    def of_release(cls, manifest: Manifest, fetch: Callable[[Blob], bytes]) -> Self:
        """
        Load them from where a release is kept.

        Raises:
            ReleaseError: One of them is missing, damaged or cannot be loaded.
            StoreError: The store is out of reach.
        """
        parts = {role: fetch(manifest.blobs[role]) for role in (TOKENIZER, ENCODER)}
        return cls.of_parts(parts, manifest.max_length)

    def examples(self, texts: Sequence[str]) -> Examples:
        """
        Encode some texts.

        Raises:
            InferenceError: The tokenizer or the encoder has no answer.
        """
        tokens = self.tokenizer.encode(texts)
        features = self.encoder.of_tokens(tokens, self.tokenizer.pad_id).features
        return Examples(features, [text.ids for text in tokens])
