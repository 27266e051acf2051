"""Real titles of a city as a learner sees them, encoded once."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from artefacts.classifier import Classifier
from artefacts.store import written_atomically
from bench.learning.rows import Row, drawn, listings
from bench.speed.models import loaded
from roomstream.listing_wording import ROOM_TYPES
from trainer.base_import import import_base
from trainer.learners.base import Examples
from trainer.sources import MINILM

MAX_LENGTH = 64  # tokens, as 'roomstream base import' has it
ENCODED_AT_ONCE = 512


@dataclass(frozen=True)
class Labelled:
    """Titles with their labels, as learners see them."""

    examples: Examples
    labels: list[str]

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, places: Sequence[int]) -> "Labelled":
        """Some of them, in this order."""
        return Labelled(self.examples.at(places), [self.labels[place] for place in places])


@dataclass(frozen=True)
class City:
    """
    What is learned and judged.

    Attributes:
        name: The file of listings.
        seed: Decided which listings are in the stream.
        stream: Listings in the order in which they were published.
        test: Listings of other hosts, the same with every seed.
    """

    name: str
    seed: int
    stream: Labelled
    test: Labelled


@dataclass(frozen=True)
class Source:
    """
    Where cities come from.

    Attributes:
        data: The folder of listings.
        rows: How many of a city are in a stream …
        pool: … which are drawn from so many with each seed.
        test: How many are judged by.
        kept: The folder that keeps what was encoded for the next run.
    """

    data: Path
    rows: int
    pool: int
    test: int
    kept: Path

    def city(self, name: str, seed: int) -> City:
        """
        Draw the stream of a seed, encoding what no run has encoded before.

        Raises:
            ConfigurationError: The city's file is missing, or has other columns.
        """
        rows = listings(self.data, name)
        pool = self._labelled(drawn([row for row in rows if not row.tested], self.pool, 0))
        test = self._labelled(drawn([row for row in rows if row.tested], self.test, 0))
        places = range(len(pool))
        chosen = random.Random(seed).sample(places, min(self.rows, len(pool)))  # noqa: S311 - no secret
        return City(name, seed, pool.at(sorted(chosen)), test)

    def _labelled(self, rows: Sequence[Row]) -> Labelled:
        texts = [row.text for row in rows]
        name = hashlib.sha256("\0".join([MINILM, str(MAX_LENGTH), *texts]).encode()).hexdigest()
        path = self.kept / f"{name[:32]}.npz"
        if not path.exists():
            _keep(encoded(texts, _minilm()), path)
        return Labelled(_kept(path), [row.label for row in rows])


def encoded(texts: Sequence[str], classifier: Classifier) -> Examples:
    """Texts as a learner sees them."""
    tokens, rows = classifier.tokenise(texts), []
    for start in range(0, len(texts), ENCODED_AT_ONCE):
        some = tokens[start : start + ENCODED_AT_ONCE]
        rows.append(classifier.infer(some).encoded.features)
    return Examples(np.concatenate(rows), [text.ids for text in tokens])


def _minilm() -> Classifier:
    """The packaged MiniLM as it came: nothing of a city was ever shown to it."""
    return loaded(import_base(MINILM, list(ROOM_TYPES), max_length=MAX_LENGTH))


def _keep(examples: Examples, path: Path) -> None:
    lengths = np.array([len(row) for row in examples.tokens])
    tokens = np.concatenate([np.array(row, np.int32) for row in examples.tokens])
    with written_atomically(path) as file:
        np.savez(file, features=examples.features, lengths=lengths, tokens=tokens)


def _kept(path: Path) -> Examples:
    with np.load(path) as found:
        ends = np.cumsum(found["lengths"])[:-1]
        rows = [row.tolist() for row in np.split(found["tokens"], ends)]
        return Examples(found["features"], rows)
