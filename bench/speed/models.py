"""Models of the real architecture with random weights: as fast as trained ones."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer
from transformers import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PreTrainedTokenizerFast,
)

from artefacts.classifier import Classifier
from roomstream.listing_wording import ROOM_TYPES
from trainer.base_import import Imported
from trainer.sources import packaged_minilm


@dataclass(frozen=True)
class Size:
    """
    A DistilBERT.

    Attributes:
        name: What the report calls it.
        dim: Width of its features.
        hidden: Width of its feed-forward layers.
        layers: How many.
    """

    name: str
    dim: int
    hidden: int
    layers: int = 6

    def operations(self, tokens: int) -> float:
        """Floating-point operations of the encoder's matrix products for a text of so many tokens."""
        of_a_token = 8 * self.dim**2 + 4 * self.dim * self.hidden + 4 * tokens * self.dim
        return float(self.layers * tokens * of_a_token)


def loaded(imported: Imported) -> Classifier:
    """A release that is in memory, loaded as a worker does."""
    parts = {blob.digest: imported.parts[role] for role, blob in imported.manifest.blobs.items()}
    return Classifier.load(imported.manifest, lambda blob: parts[blob.digest])


SIZES = {
    "minilm": Size("MiniLM-sized", dim=384, hidden=1536),
    "base": Size("DistilBERT base", dim=768, hidden=3072),
}


def saved(size: Size, folder: Path) -> Path:
    """Write a classifier of this size for 'roomstream base import' and transformers alike."""
    torch.manual_seed(0)
    vocabulary = Tokenizer.from_file(str(packaged_minilm() / "tokenizer.json"))
    config = DistilBertConfig(
        vocab_size=vocabulary.get_vocab_size(),
        dim=size.dim,
        hidden_dim=size.hidden,
        n_layers=size.layers,
        n_heads=12,
        id2label=dict(enumerate(ROOM_TYPES)),
        label2id={label: number for number, label in enumerate(ROOM_TYPES)},
    )
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    DistilBertForSequenceClassification(config).save_pretrained(folder)
    vocabulary.no_padding()
    vocabulary.no_truncation()
    kind: Any = PreTrainedTokenizerFast
    kind(
        tokenizer_object=vocabulary,
        pad_token="[PAD]",  # noqa: S106 - no password
        model_input_names=["input_ids", "attention_mask"],
        model_max_length=config.max_position_embeddings,
    ).save_pretrained(folder)
    return folder
