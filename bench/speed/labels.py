"""Labels for titles, where it does not matter which: there is something to learn."""

from collections.abc import Sequence

import numpy as np

from artefacts.classifier import Classifier
from roomstream.listing_wording import ROOM_TYPES
from trainer.finetuning.job import Listings


def told(text: str) -> str:
    """Some rule about the words of a title."""
    first = min(text.lower().split(), default="")
    return ROOM_TYPES[sum(first.encode()) % len(ROOM_TYPES)]


def kept_listings(classifier: Classifier, texts: Sequence[str]) -> Listings:
    """Listings as a trainer keeps them, each with its label, and one of them to validate by."""
    tokens = [text.ids for text in classifier.tokenise(texts)]
    return Listings(
        ids=[str(number) for number in range(len(texts))],
        seqs=list(range(len(texts))),
        tokens=[list(ids) for ids in tokens],
        labels=np.array([ROOM_TYPES.index(told(text)) for text in texts]),
        stored=np.full((len(texts), len(ROOM_TYPES)), np.nan, np.float32),
        validation=np.arange(len(texts)) == 0,
    )
