"""Teacher and students: trained by the project's own loop, exported, and judged by the graphs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer as FastTokenizer
from transformers import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PreTrainedTokenizerFast,
)

from artefacts.graphs import Encoder, Head
from artefacts.tokenisation import Tokenizer, Tokens
from trainer.encoders import verified_export
from trainer.evaluation import Answers
from trainer.finetuning.loop import Model
from trainer.transfer.candidates import head_of
from trainer.transfer.distillation import Transfer
from trainer.transfer.lessons import Lessons

MAX_LENGTH = 64
_COMPARED = 8
_TIMED_TEXTS = 512

Step = Callable[[Transfer], None]


@dataclass(frozen=True)
class Trained:
    """
    A model at the end of its training.

    Attributes:
        training: How it went.
        model: The best weights.
        encoder: As a graph.
        head: As a graph.
        cpu_seconds: What the training took.
    """

    training: Transfer
    model: Model
    encoder: bytes
    head: bytes
    cpu_seconds: float

    @property
    def layers(self) -> int:
        """How many the encoder has."""
        return int(self.model.encoder.model.config.n_layers)

    @property
    def size_bytes(self) -> int:
        """Both graphs."""
        return len(self.encoder) + len(self.head)


def trained(training: Transfer, tokenizer: Tokenizer, lessons: Lessons, step: Step) -> Trained:
    """Train to the end, and export; the graph is compared with the model."""
    started = time.process_time()
    while not training.stopped:
        training.advance()
        step(training)
    seconds = time.process_time() - started
    model = training.best_model()
    compared = tokenizer.encode([row.text for row in lessons.validating[:_COMPARED]])
    encoder = verified_export(model.encoder, compared)
    return Trained(training, model, encoder, head_of(model), seconds)


def save_classifier(found: Trained, tokenizer_json: bytes, labels: Sequence[str], to: Path) -> None:
    """Write a model that is read at its first token as transformers has it, so that it can teach."""
    config = found.model.encoder.model.config
    names: Any = dict(enumerate(labels))
    whole: Any = DistilBertForSequenceClassification(
        DistilBertConfig(
            vocab_size=config.vocab_size,
            max_position_embeddings=config.max_position_embeddings,
            n_layers=config.n_layers,
            n_heads=config.n_heads,
            dim=config.dim,
            hidden_dim=config.hidden_dim,
            activation=config.activation,
            id2label=names,
            label2id={name: number for number, name in names.items()},
        )
    )
    whole.distilbert.load_state_dict(found.model.encoder.model.state_dict())
    head = found.model.head.state_dict()
    for layer, place in (("pre_classifier", 0), ("classifier", 3)):
        weights = {name: head[f"{place}.{name}"] for name in ("weight", "bias")}
        getattr(whole, layer).load_state_dict(weights)
    whole.save_pretrained(to)
    kind: Any = PreTrainedTokenizerFast
    kind(
        tokenizer_object=FastTokenizer.from_str(tokenizer_json.decode()),
        unk_token="[UNK]",  # noqa: S106 - no secret
        pad_token="[PAD]",  # noqa: S106 - no secret
        cls_token="[CLS]",  # noqa: S106 - no secret
        sep_token="[SEP]",  # noqa: S106 - no secret
        mask_token="[MASK]",  # noqa: S106 - no secret
    ).save_pretrained(to)


def answers(found: Trained, tokens: Sequence[Tokens], labels: Sequence[str]) -> Answers:
    """What the graphs say."""
    features = Encoder(found.encoder).of_tokens(tokens).features
    return Answers(labels, Head(found.head).of_tokens(features, tokens)[1])


def microseconds(models: Sequence[Trained], tokens: Sequence[Tokens], rounds: int) -> list[float]:
    """
    How long each takes for a title, with one thread: the median of rounds that take turns.

    Batches are made as a worker makes them.
    """
    texts = list(tokens[:_TIMED_TEXTS])
    graphs = [(Encoder(each.encoder), Head(each.head)) for each in models]
    taken: list[list[float]] = [[] for _ in models]
    for number in range(rounds + 1):
        for (encoder, head), seconds in zip(graphs, taken, strict=True):
            started = time.perf_counter()
            head.of_tokens(encoder.of_tokens(texts).features, texts)
            if number:  # the first round warms up
                seconds.append(time.perf_counter() - started)
    return [1e6 * float(np.median(seconds)) / len(texts) for seconds in taken]
