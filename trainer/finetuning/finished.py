"""A fine-tuned encoder, and what it makes of every listing that is kept by now."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from artefacts.graphs import Floats
from artefacts.manifest import ENCODER, WEIGHTS, Blob
from trainer.database import Database
from trainer.finetuning.job import JobFolder
from trainer.kept import Items
from trainer.learners.base import Example
from trainer.live import LiveRelease, Releases


class Finished:
    """
    What came of a job.

    Args:
        folder: The job's, which is done.
        releases: Keeps the encoder in memory.
        threads: Of one inference.
    """

    def __init__(self, folder: JobFolder, releases: Releases, threads: int) -> None:
        result, listings = folder.result(), folder.listings()
        self.figures = result.figures
        self.parts = {ENCODER: result.encoder, WEIGHTS: result.weights}
        self._encoder = releases.encoders.get(
            Blob.of(result.encoder), lambda _: result.encoder, threads
        )
        self.seen_seqs = [
            seq for seq, label in zip(listings.seqs, listings.labels, strict=True) if label >= 0
        ]
        keys = zip(listings.ids, listings.seqs, strict=True)
        self._features: dict[tuple[str, int], Floats] = dict(
            zip(keys, result.features, strict=True)
        )

    @property
    def is_sound(self) -> bool:
        """Whether all features are finite numbers."""
        return all(np.isfinite(row).all() for row in self._features.values())

    def encode_some(self, database: Database, live: LiveRelease, most: int) -> bool:
        """
        Encode listings that came since the job began.

        Returns:
            Whether none is left.
        """
        kept = database.kept.seqs().items()
        missing = [(listing, seq) for listing, seq in kept if (listing, seq) not in self._features]
        if missing:
            items = database.kept.items_of([listing for listing, _ in missing[:most]])
            rows = self._encoder.of_tokens(live.classifier.tokenise(items.texts)).features
            self._features.update(zip(missing[:most], rows, strict=True))
        return len(missing) <= most

    def encode(self, live: LiveRelease, texts: Sequence[str]) -> list[Example | None]:
        """Texts as a learner would see them; None where the features are not finite numbers."""
        tokens = live.classifier.tokenise(texts)
        rows = self._encoder.of_tokens(tokens).features
        return [
            Example(row, text.ids) if np.isfinite(row).all() else None
            for row, text in zip(rows, tokens, strict=True)
        ]

    def seen(self, items: Items, seqs: dict[str, int]) -> Items:
        """Kept listings as this encoder sees them; `seqs` are the numbers of their labels."""
        rows = [self._features[listing, seqs[listing]] for listing in items.ids]
        return replace(items, features=np.stack(rows)) if rows else items
