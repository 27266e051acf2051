"""A problem that tiny models learn in a second, one word of a title says what it is, and a teacher."""

import csv
import random
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertForSequenceClassification

from artefacts.graphs import padded
from tests.trainer.distilberts import save_tokenizer, tokenizer
from trainer.transfer.lessons import Row

torch.set_num_threads(1)  # two that spin on a busy machine are slower than one

WORDS = {"Entire home/apt": "loft", "Private room": "private", "Shared room": "room"}
LABELS = list(WORDS)
_FILLERS = ("con", "en", "balcon", "flat", "habitacion")


def rows(count: int, seed: int = 0) -> list[Row]:
    """Listings in turn of each class."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        label = LABELS[number % len(LABELS)]
        words = [WORDS[label], *chance.sample(_FILLERS, 2)]
        chance.shuffle(words)
        made.append(Row(f"l-{seed}-{number}", " ".join(words), label, "nowhere"))
    return made


def write(path: Path, listings: list[Row]) -> Path:
    """A file as people have it."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "title", "label"))
        writer.writerows(listing[:3] for listing in listings)
    return path


def tokens(listings: list[Row], made: Any = None) -> list[list[int]]:
    """As a tiny tokenizer cuts them."""
    cut = made or tokenizer()
    return [cut.encode(listing.text).ids for listing in listings]


def bert(layers: int = 4, dim: int = 32, **options: Any) -> Any:
    """A random BERT with a head for the three classes."""
    torch.manual_seed(0)
    kind: Any = BertForSequenceClassification
    return kind(
        BertConfig(
            vocab_size=200,
            max_position_embeddings=64,
            num_hidden_layers=layers,
            num_attention_heads=4,
            hidden_size=dim,
            intermediate_size=2 * dim,
            initializer_range=0.2,
            id2label=dict(enumerate(LABELS)),
            label2id={label: number for number, label in enumerate(LABELS)},
            **options,
        )
    )


def save_teacher(folder: Path, steps: int = 40, dim: int = 32) -> Any:
    """A BERT that has learned the problem, as save_pretrained writes it."""
    model, listings = bert(dim=dim), rows(96, seed=9)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    ids, mask = (torch.from_numpy(each) for each in padded(tokens(listings)))
    truth = torch.tensor([LABELS.index(listing.label) for listing in listings])
    for _ in range(steps):
        loss = cross_entropy(model(input_ids=ids, attention_mask=mask).logits, truth)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    model.eval()
    model.save_pretrained(folder)
    save_tokenizer(folder, tokenizer())
    return model
