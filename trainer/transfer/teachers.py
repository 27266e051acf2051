"""A teacher: any sequence classifier of transformers from a local folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertModel,
    DistilBertModel,
)

from artefacts.graphs import Floats
from schemas.errors import ConfigurationError
from trainer.encoders import PooledEncoder, Pooling, alternate_layers, distilbert_of_bert
from trainer.finetuning.precision import training_precision
from trainer.sources import (
    Source,
    fast_tokenizer_json,
    pretrained,
    quiet,
    single_labels,
    translated,
)

BATCH = 64


@dataclass(frozen=True)
class Taught:
    """
    What a teacher makes of texts.

    Attributes:
        logits: float32 (texts, classes); -inf for classes that it does not know.
        states: Its last hidden states, pooled as the student pools its own, float32 (texts, dim).
    """

    logits: Floats
    states: Floats


class Teacher:
    """
    A classifier that teaches another one.

    Args:
        folder: As `save_pretrained` writes it, with a tokenizer.

    Attributes:
        labels: What it answers.
        dimensions: How wide its hidden states are.

    Raises:
        ConfigurationError: It is not there, no single-label classifier, or not whole.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise ConfigurationError(
                f"The teacher {folder} is no folder. Name one that save_pretrained has written."
            )
        self._folder = folder
        with quiet(), translated(str(folder), "a sequence classifier", _WANTED):
            config = AutoConfig.from_pretrained(folder, local_files_only=True)
            if not any("SequenceClassification" in name for name in config.architectures or ()):
                kind = ", ".join(config.architectures or ()) or config.model_type
                raise ConfigurationError(
                    f"The teacher {folder} is a {kind}, which classifies nothing. {_WANTED}"
                )
            self.labels = single_labels(str(folder), config)
            self._model = pretrained(AutoModelForSequenceClassification, str(folder))
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            if self._tokenizer.pad_token is None:
                raise ConfigurationError(
                    f"The tokenizer of {folder} has no padding token: texts cannot be read together. "
                    "Set pad_token, in its config too, and save both again."
                )
        self._tokenizer.padding_side = "right"
        self.dimensions = int(config.hidden_size)

    def teach(
        self,
        texts: Sequence[str],
        classes: Sequence[str],
        pooling: Pooling,
        max_length: int,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Taught:
        """
        Answer texts; each is read once, whatever the student's tokenizer is.

        Args:
            texts: Any.
            classes: The student's labels; the teacher's are among them.
            pooling: How the student pools its hidden states.
            max_length: The longest input in the teacher's tokens; the rest is cut.
            progress: Called with how many texts more are done.
        """
        columns = [classes.index(label) for label in self.labels]
        logits = np.full((len(texts), len(classes)), -np.inf, np.float32)
        states = np.empty((len(texts), self.dimensions), np.float32)
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            said, pooled = self._read([texts[place] for place in places], pooling, max_length)
            logits[np.ix_(places, columns)] = said
            states[places] = pooled
            progress(len(places))
        return Taught(logits, states)

    def student(self) -> Source:
        """
        A student of every other layer, with the teacher's embeddings and tokenizer.

        Raises:
            ConfigurationError: The teacher is neither a BERT nor a DistilBERT.
        """
        body = self._model.base_model
        if isinstance(body, BertModel):
            body = distilbert_of_bert(body)
        if not isinstance(body, DistilBertModel):
            raise ConfigurationError(
                f"The teacher {self._folder} is a {self._model.config.model_type}: only a BERT or "
                "DistilBERT has layers that a DistilBERT can take over. Name another student, such as "
                "--student minilm."
            )
        with quiet(), translated(str(self._folder), "a tokenizer", _WANTED):
            tokenizer_json = fast_tokenizer_json(str(self._folder), body.config.vocab_size)
        return Source(PooledEncoder(alternate_layers(body), "first"), tokenizer_json)

    def _read(self, texts: list[str], pooling: Pooling, max_length: int) -> tuple[Floats, Floats]:
        longest = min(max_length, self._tokenizer.model_max_length)
        inputs = self._tokenizer(
            texts, padding=True, truncation=True, max_length=longest, return_tensors="pt"
        )
        with torch.no_grad(), training_precision():
            found = self._model(**inputs, output_hidden_states=True)
        hidden = found.hidden_states[-1].float()  # (batch, sequence, dim)
        weights = inputs["attention_mask"].unsqueeze(-1).float()
        mean = (hidden * weights).sum(1) / weights.sum(1)
        pooled = hidden[:, 0] if pooling == "first" else mean
        return found.logits.float().numpy(), pooled.numpy()


_WANTED = (
    "Name a folder that save_pretrained has written of a model for sequence classification "
    "(config.json, model.safetensors, tokenizer.json)."
)
