"""Titles with their labels, as a trainer keeps them."""

from collections.abc import Mapping

import numpy as np

from artefacts.classifier import Classifier
from roomstream.listing_wording import ROOM_TYPES
from trainer.finetuning.job import Listings


def kept_listings(classifier: Classifier, labels: Mapping[str, str]) -> Listings:
    """Listings as a trainer keeps them, and one of them to validate by."""
    texts = list(labels)
    tokens = [text.ids for text in classifier.tokenise(texts)]
    return Listings(
        ids=[str(number) for number in range(len(texts))],
        seqs=list(range(len(texts))),
        tokens=[list(ids) for ids in tokens],
        labels=np.array([ROOM_TYPES.index(label) for label in labels.values()]),
        stored=np.full((len(texts), len(ROOM_TYPES)), np.nan, np.float32),
        validation=np.arange(len(texts)) == 0,
    )
