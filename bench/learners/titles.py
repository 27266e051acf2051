"""The streams, as the packaged MiniLM sees their titles: computed once, and kept for the next run."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from artefacts.graphs import Floats
from artefacts.manifest import ENCODER, TOKENIZER
from artefacts.store import written_atomically
from artefacts.tokenisation import Tokenizer
from bench.learning.rows import Row, listings
from bench.learning.streams import Size, Stream, in_turn
from trainer.base_import import import_base
from trainer.comparison import Lessons
from trainer.learners.base import Examples
from trainer.text_encoder import TextEncoder

STREAMS: dict[str, Sequence[str]] = {
    "nyc": ("nyc",),
    "madrid": ("madrid",),
    "cities": ("nyc", "dublin", "madrid", "mexico_city"),
}
"""The cities of each, in the order in which they arrive."""
_AT_ONCE = 256

Move = Callable[[str, float], None]
"""Shows what is done now, and which share of it is done."""


def stream(data: Path, name: str, size: Size, seed: int) -> Stream:
    """
    Read one of the streams; `size` is that of all of it, which its cities share out evenly.

    Raises:
        ConfigurationError: A file is missing.
    """
    cities = STREAMS[name]
    shared = Size(size.rows // len(cities), size.test // len(cities), size.share)
    return in_turn(name, [listings(data, city) for city in cities], shared, seed)


@dataclass(frozen=True)
class Titles:
    """
    Encodes titles, or remembers what they were encoded as.

    Attributes:
        encoder: The packaged MiniLM.
        about: What decides what it makes of a title.
        kept: The folder that features are kept in.
    """

    encoder: TextEncoder
    about: str
    kept: Path

    @classmethod
    def of_source(cls, source: str, kept: Path) -> "Titles":
        """
        Load a model as `roomstream base import` does.

        Raises:
            ConfigurationError: It cannot be loaded.
        """
        imported = import_base(source, ["one", "another"])
        blobs, length = imported.manifest.blobs, imported.manifest.max_length
        about = f"{blobs[ENCODER].digest} {blobs[TOKENIZER].digest} {length}"
        return cls(TextEncoder.of_parts(imported.parts, length), about, kept)

    @property
    def tokenizer(self) -> Tokenizer:
        """That of the encoder."""
        return self.encoder.tokenizer

    def lessons(self, rows: Sequence[Row], what: str, move: Move) -> Lessons:
        """Rows as learners see them; `what` they are is shown while they are encoded."""
        texts = [row.text for row in rows]
        features = self._features(texts, what, move)
        tokens = [text.ids for text in self.tokenizer.encode(texts)]
        return Lessons(
            Examples(features, tokens), [row.label for row in rows], [row.domain for row in rows]
        )

    def _features(self, texts: Sequence[str], what: str, move: Move) -> Floats:
        decides = "\0".join([self.about, *texts]).encode()
        path = self.kept / f"{hashlib.sha256(decides).hexdigest()[:32]}.npy"
        if not path.exists():
            features = self._encoded(texts, what, move)
            with written_atomically(path) as file:
                np.save(file, features)
        found: Floats = np.load(path)
        return found

    def _encoded(self, texts: Sequence[str], what: str, move: Move) -> Floats:
        parts = []
        for start in range(0, len(texts), _AT_ONCE):
            move(f"encoding {what}", start / len(texts))
            parts.append(self.encoder.examples(texts[start : start + _AT_ONCE]).features)
        return np.concatenate(parts)
