"""The live release as the trainer needs it: its encoder to learn with, its head to compare with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from artefacts.cache import BlobCache
from artefacts.classifier import Classifier
from artefacts.errors import InferenceError
from artefacts.graphs import Encoders, Floats
from artefacts.manifest import ENCODER, TOKENIZER, Blob, Manifest
from artefacts.store import Store
from schemas.events import ReleaseAnnouncement
from trainer.learners.base import Example

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class LiveRelease:
    """
    A release that serves.

    Attributes:
        announcement: Says since when and why.
        classifier: It, loaded.
    """

    announcement: ReleaseAnnouncement
    classifier: Classifier

    @property
    def manifest(self) -> Manifest:
        """What it is."""
        return self.classifier.manifest

    @property
    def encoding(self) -> str:
        """What decides the features of a text: encoder, tokenizer and length."""
        return encoding_of(self.manifest.blobs, self.manifest.max_length)

    def encode(self, texts: Sequence[str]) -> list[Example | None]:
        """
        Turn texts into what learners see.

        Returns:
            One a text, in order; None for a text that breaks the encoder, and for it alone.
        """
        try:
            return list(self._examples(texts))
        except InferenceError:
            return [self._encode_alone(text) for text in texts]

    def says(self, texts: Sequence[str], features: Floats, encoding: str) -> list[str]:
        """
        What it says of texts.

        Args:
            texts: Any.
            features: Those of the texts by some encoding, float32 (texts, dim).
            encoding: By which; where ours is another, the texts are encoded again.

        Raises:
            InferenceError: It cannot answer one of them.
        """
        tokens = self.classifier.tokenise(texts)
        if encoding != self.encoding:
            features = self.classifier.encoder.of_tokens(tokens).features
        _, probabilities = self.classifier.head.of_tokens(features, tokens)
        return [self.manifest.labels[index] for index in probabilities.argmax(axis=1)]

    def tokenise(self, texts: Sequence[str]) -> list[Sequence[int]]:
        """Token ids of texts that were encoded before."""
        return [text.ids for text in self.classifier.tokenise(texts)]

    def _examples(self, texts: Sequence[str]) -> list[Example]:
        tokens = self.classifier.tokenise(texts)
        features = self.classifier.infer(tokens).encoded.features
        return [Example(row, text.ids) for row, text in zip(features, tokens, strict=True)]

    def _encode_alone(self, text: str) -> Example | None:
        try:
            return self._examples([text])[0]
        except InferenceError:
            return None


def encoding_of(blobs: Mapping[str, Blob], max_length: int) -> str:
    """What decides the features of a text in a release of these files."""
    return " ".join((blobs[ENCODER].digest, blobs[TOKENIZER].digest, str(max_length)))


class Releases:
    """
    Loads releases by their announcements.

    Args:
        cache: A local folder for parts of releases.
        threads: Threads of one inference.
    """

    def __init__(self, cache: Path, threads: int) -> None:
        self._cache = cache
        self._threads = threads
        self.encoders = Encoders()

    def load(self, announcement: ReleaseAnnouncement) -> LiveRelease:
        """
        Fetch, check and load a release.

        Raises:
            ReleaseError: It is missing, damaged, or not what was announced.
            StoreError: The store is out of reach.
        """
        store = Store(announcement.store)
        manifest = store.manifest(announcement.release, announcement.manifest_digest)
        fetch = BlobCache(store, self._cache).get
        classifier = Classifier.load(manifest, fetch, self.encoders, self._threads)
        return LiveRelease(announcement, classifier)

    def fetch(self, announcement: ReleaseAnnouncement, blob: Blob) -> bytes:
        """Read a part of a release that was announced."""
        return BlobCache(Store(announcement.store), self._cache).get(blob)
