"""Tiny random DistilBERTs with fast tokenizers made in code, as `save_pretrained` writes them."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    DistilBertModel,
    PreTrainedTokenizerFast,
)

TEXTS = (
    "Habitación doble con balcón en Lavapiés",
    "Sunny loft, entire flat near Retiro!",
    "Cama 🌿 en dormitorio compartido ❤️",
    "ÁTICO con piscina",
    "x",
    "private room " * 40,
)
KINDS = ("uncased", "cased", "multilingual")
_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789,.!'"
_WORDS = ["habitacion", "room", "private", "Private", "loft", "con", "balcon", "en", "flat", "##ed"]


def tokenizer(kind: str = "uncased", padding: int | None = None) -> Tokenizer:
    """
    WordPiece as BERT has it.

    Args:
        kind: `uncased` drops case and accents, `cased` keeps both, `multilingual` keeps both and
            knows accented letters.
        padding: Bake this fixed length into the file, as some models on the hub have it.
    """
    letters = _LETTERS + ("áéíóúñÁÉÍÓÚÑ🌿" if kind == "multilingual" else "")
    pieces = [*_SPECIALS, *letters, *(f"##{letter}" for letter in letters), *_WORDS]
    made = Tokenizer(
        models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]")
    )
    lower = kind == "uncased"
    made.normalizer = normalizers.BertNormalizer(lowercase=lower, strip_accents=lower)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    if padding:
        made.enable_padding(length=padding)
        made.enable_truncation(padding)
    return made


def save_tokenizer(folder: Path, made: Tokenizer) -> None:
    """Write it beside a model."""
    kind: Any = PreTrainedTokenizerFast
    kind(
        tokenizer_object=made,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    ).save_pretrained(folder)


def config(**options: Any) -> DistilBertConfig:
    """Two layers of 32 dimensions."""
    return DistilBertConfig(
        vocab_size=200,
        max_position_embeddings=64,
        n_layers=2,
        n_heads=4,
        dim=32,
        hidden_dim=64,
        **options,
    )


def save_model(folder: Path, kind: str = "uncased") -> Any:
    """A DistilBERT without a head."""
    torch.manual_seed(0)
    model: Any = DistilBertModel(config())
    model.eval()
    model.save_pretrained(folder)
    save_tokenizer(folder, tokenizer(kind))
    return model


def save_classifier(
    folder: Path, labels: dict[int, str], kind: str = "uncased", **options: Any
) -> Any:
    """A DistilBERT with a head; its weights are wide enough for answers that differ."""
    torch.manual_seed(0)
    names: dict[str, Any] = {
        "id2label": labels,
        "label2id": {name: index for index, name in labels.items()},
    }
    model: Any = DistilBertForSequenceClassification(config(**names, **options))
    model.eval()
    with torch.no_grad():
        for name, weights in model.named_parameters():
            weights.mul_(30 if "classifier" in name else 3)
    model.save_pretrained(folder)
    save_tokenizer(folder, tokenizer(kind))
    return model
