"""A teacher answers as transformers does, makes a student, and what is none is named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from schemas.errors import ConfigurationError
from tests.trainer.distilberts import save_classifier, save_model, save_tokenizer, tokenizer
from tests.trainer.transfer.problem import LABELS, bert, rows, save_teacher
from trainer.transfer.teachers import Teacher

TEXTS = [row.text for row in rows(9)] + ["loft " * 30]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "teacher"


def test_it_answers_as_transformers_does(folder: Path) -> None:
    """In the student's columns, -inf for what it does not know, texts in their order; and its states."""
    save_teacher(folder, steps=0)
    classes = ["Hotel room", *reversed(LABELS)]
    teacher = Teacher(folder)
    ours = teacher.teach(TEXTS, classes, "first", 12)
    of_mean = teacher.teach(TEXTS, classes, "mean", 12)
    kind: Any = AutoModelForSequenceClassification
    model = kind.from_pretrained(folder).eval()
    for place, text in enumerate(TEXTS):
        cut = tokenizer()
        cut.enable_truncation(12)
        with torch.no_grad():
            found = model(torch.tensor([cut.encode(text).ids]), output_hidden_states=True)
        logits, hidden = found.logits[0].numpy(), found.hidden_states[-1][0].numpy()

        assert (
            np.abs(ours.logits[place, [3, 2, 1]] - logits).max() < 0.05
        )  # bfloat16 where it is fast
        assert np.abs(ours.states[place] - hidden[0]).max() < 0.1
        assert np.abs(of_mean.states[place] - hidden.mean(0)).max() < 0.1
    assert np.isneginf(ours.logits[:, 0]).all()


def test_a_student_of_a_bert_has_half_of_its_layers(folder: Path) -> None:
    """Its tokenizer, and the first token's state as features, as the teacher reads it."""
    save_teacher(folder, steps=0)
    source = Teacher(folder).student()

    assert source.encoder.model.config.n_layers == 2
    assert source.encoder.pooling == "first"
    assert json.loads(source.tokenizer_json)["model"]["type"] == "WordPiece"


def test_to_make_a_student_leaves_the_teacher_as_it_is(folder: Path) -> None:
    """It answers as before, though its token types are in the student's positions."""
    save_teacher(folder, steps=0)
    teacher = Teacher(folder)
    before = teacher.teach(TEXTS, LABELS, "first", 12).logits
    teacher.student()

    assert (teacher.teach(TEXTS, LABELS, "first", 12).logits == before).all()


def test_a_distilbert_has_layers_to_take_over_too(folder: Path) -> None:
    """Half of two is one."""
    save_classifier(folder, dict(enumerate(LABELS)))

    assert Teacher(folder).student().encoder.model.config.n_layers == 1


def test_another_family_teaches_but_has_no_layers(folder: Path) -> None:
    """A RoBERTa answers; its layers are no DistilBERT's."""
    kind: Any = RobertaForSequenceClassification
    sizes: dict[str, Any] = {"num_attention_heads": 2, "intermediate_size": 16, "num_labels": 3}
    small = RobertaConfig(vocab_size=200, hidden_size=16, num_hidden_layers=1, **sizes)
    kind(small).save_pretrained(folder)
    save_tokenizer(folder, tokenizer())
    teacher = Teacher(folder)

    assert teacher.teach(TEXTS, teacher.labels, "first", 12).states.shape == (len(TEXTS), 16)
    with pytest.raises(ConfigurationError, match=r"roberta.*--student minilm"):
        teacher.student()


def _nothing(folder: Path) -> None:
    """There is no folder."""


def _empty(folder: Path) -> None:
    folder.mkdir()


def _encoder_alone(folder: Path) -> None:
    save_model(folder)


def _many_labels(folder: Path) -> None:
    bert(problem_type="multi_label_classification").save_pretrained(folder)
    save_tokenizer(folder, tokenizer())


def _no_tokenizer(folder: Path) -> None:
    bert().save_pretrained(folder)


def _without_head(folder: Path) -> None:
    model = bert()
    weights = {
        name: value for name, value in model.state_dict().items() if "classifier" not in name
    }
    model.save_pretrained(folder, state_dict=weights)
    save_tokenizer(folder, tokenizer())


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_nothing, "is no folder"),
        (_empty, "cannot be loaded as a sequence classifier"),
        (_encoder_alone, "classifies nothing"),
        (_many_labels, "single-label"),
        (_no_tokenizer, "okenizer"),
        (_without_head, "lacks weights"),
    ],
)
def test_what_is_no_teacher_is_named(folder: Path, make: Any, says: str) -> None:
    """With what it should be."""
    make(folder)

    with pytest.raises(ConfigurationError, match=says) as raised:
        Teacher(folder).student()

    assert str(folder) in str(raised.value)
