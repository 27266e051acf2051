"""From a trained model to a release, and through the gates of a running trainer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import msgspec
import numpy as np
import torch

from artefacts.classifier import Classifier
from artefacts.graphs import Encoders, Floats
from artefacts.manifest import (
    ENCODER,
    HEAD,
    TOKENIZER,
    WEIGHTS,
    Blob,
    FineTuning,
    GateResult,
    Lineage,
    Manifest,
    Quantisation,
)
from artefacts.store import new_release_id
from artefacts.tokenisation import Tokenizer, Tokens
from schemas.errors import RoomstreamError
from trainer.baseline import fitted
from trainer.calibration import calibrate
from trainer.encoders import encoder_weights, verified_export
from trainer.evaluation import Truth
from trainer.finetuning.loop import Model
from trainer.gate import LEAST_HELD_OUT, enough_held_out, judge, judge_first
from trainer.heads import calibrated_head, two_layer_head
from trainer.judging import HeldOut, bounds_of, quality
from trainer.kept import Items
from trainer.learners.base import Logits
from trainer.live import LiveRelease
from trainer.provenance import GOLDEN_TEXTS, library_versions, with_golden
from trainer.publishing import HEAD_TOLERANCE
from trainer.quantisation import quantised_within
from trainer.settings import TrainerSettings
from trainer.transfer.distillation import Transfer
from trainer.transfer.lessons import Lessons, Row

_COMPARED = 8


@dataclass(frozen=True)
class Origin:
    """
    Where a student comes from.

    Attributes:
        tokenizer_json: Its tokenizer.
        max_length: The longest input in tokens.
        base_model: Its first weights, in words.
        learner: How it learned.
        why: What of, in words.
        lineage: What its first weights had learned of our topics.
    """

    tokenizer_json: bytes
    max_length: int
    base_model: str
    learner: Literal["fine-tuned", "distilled"]
    why: str
    lineage: Lineage


@dataclass(frozen=True)
class Candidate:
    """
    A release that is loaded, and not published yet.

    Attributes:
        classifier: It.
        parts: Its files, by role.
    """

    classifier: Classifier
    parts: Mapping[str, bytes]


def candidate_of(
    training: Transfer, lessons: Lessons, origin: Origin, live: LiveRelease, seed: int
) -> Candidate:
    """
    Export the best model of a training as a worker would load it, and compare it with the original.

    The temperature is fitted to what validates. The encoder is in 8-bit integers where the live release's
    is, and may lose as much.

    Args:
        training: It has ended.
        lessons: What it learned.
        origin: Where it comes from.
        live: What it is to follow.
        seed: Of the training.

    Raises:
        RoomstreamError: The exported model computes something else.
    """
    model, tokenizer = training.best_model(), Tokenizer(origin.tokenizer_json, origin.max_length)
    texts = [row.text for row in lessons.validating]
    compared = tokenizer.encode([*GOLDEN_TEXTS, *texts[:_COMPARED]])
    parts, quantisation = _encoder_parts(model, origin, compared, live.manifest.quantisation)
    encoders, tokens = Encoders(), tokenizer.encode(texts)
    encoder = encoders.get(Blob.of(parts[ENCODER]), lambda _: parts[ENCODER])
    features = encoder.of_tokens(tokens, tokenizer.pad_id).features
    logits = scores(model, features).astype(np.float64)
    truth = Truth.of([row.label for row in lessons.validating])
    calibration = calibrate(lessons.classes, logits, truth, {})
    parts[HEAD] = calibrated_head(
        head_of(model), calibration.temperature, calibration.correction.tolist()
    )
    (examples, validated_on), created_at = training.examples, datetime.now(UTC)
    manifest = Manifest(
        release=new_release_id(created_at, Blob.of(parts[HEAD])),
        created_at=created_at,
        labels=lessons.classes,
        max_length=origin.max_length,
        feature_dimensions=model.encoder.model.config.dim,
        temperature=calibration.temperature,
        review_below=live.manifest.review_below,
        blobs={role: Blob.of(data) for role, data in parts.items()},
        parent=live.manifest.release,
        base_model=origin.base_model,
        learner=origin.learner,
        lineage=msgspec.structs.replace(origin.lineage, labels_by_class=dict(lessons.learned)),
        quantisation=quantisation,
        fine_tuning=FineTuning(
            why=origin.why,
            examples=examples,
            validated_on=validated_on,
            seed=seed,
            curve=training.curve,
            best_step=training.best_step,
            stopped=training.stopped,
            quantisation=quantisation,
        ),
        versions=library_versions(),
    )
    by_digest = {Blob.of(data).digest: data for data in parts.values()}
    manifest = with_golden(manifest, lambda blob: by_digest[blob.digest], encoders)
    classifier = Classifier.load(manifest, lambda blob: by_digest[blob.digest], encoders)
    _check(classifier, tokens, features, calibration.apply(logits))
    return Candidate(classifier, parts)


def judged(
    candidate: Classifier, live: LiveRelease, lessons: Lessons, settings: TrainerSettings
) -> Manifest:
    """
    Judge a candidate by what is held out of the file, as a running trainer would.

    The live release was trained elsewhere: no loss counts as chance only because it is small.

    What only a trainer's database knows has no part in it: labels since the live release was announced,
    and the release that these have proved.

    Returns:
        Its manifest with its quality, and with the result of every gate.
    """
    ours, first = _held_out(lessons.held_out, candidate), settings.first_labels_per_class
    answers, labels = ours.answers(candidate), live.manifest.labels
    results = [*judge_first(lessons.learned, labels, first, settings.first_labels)]
    if live.manifest.learner != "untrained":
        results.append(enough_held_out(len(ours.truth), LEAST_HELD_OUT))
        results += _compared(ours, candidate, live, lessons, settings)
    measured = quality(answers, ours)
    return msgspec.structs.replace(candidate.manifest, evaluation=results, quality=measured)


def scores(model: Model, features: Floats) -> Floats:
    """What the head of a model says of features, float32 (texts, dim): float32 (texts, classes)."""
    with torch.no_grad():
        found: Floats = model.scores(torch.from_numpy(features)).numpy()
    return found


def head_of(model: Model) -> bytes:
    """The head of a model as a graph; what stretches the features is inside."""
    weights = {name: value.numpy() for name, value in model.head.state_dict().items()}
    return two_layer_head(
        model.stretch * weights["0.weight"].T,
        weights["0.bias"],
        weights["3.weight"].T,
        weights["3.bias"],
    )


def _compared(
    ours: HeldOut,
    candidate: Classifier,
    live: LiveRelease,
    lessons: Lessons,
    settings: TrainerSettings,
) -> list[GateResult]:
    theirs = _held_out(lessons.held_out, live.classifier)
    rows = lessons.taught
    baseline = fitted([row.text for row in rows], [row.label for row in rows], {})
    said = None if baseline is None else list(map(str, baseline.predict(ours.items.texts)))
    of_live = theirs.answers(live.classifier)
    bounds = bounds_of(settings, noise_items=0)
    return judge(ours.truth, ours.answers(candidate), of_live, said, bounds)


def _held_out(rows: list[Row], classifier: Classifier) -> HeldOut:
    """The hold-out as a release sees it."""
    texts, labels = [row.text for row in rows], [row.label for row in rows]
    tokens = classifier.tokenise(texts)
    features = classifier.encoder.of_tokens(tokens, classifier.tokenizer.pad_id).features
    ids, domains = [row.listing_id for row in rows], [row.domain for row in rows]
    return HeldOut(Items(ids, texts, labels, domains, features), tokens, Truth.of(labels))


def _encoder_parts(
    model: Model, origin: Origin, compared: Sequence[Tokens], as_live: Quantisation | None
) -> tuple[dict[str, bytes], Quantisation | None]:
    parts = {
        ENCODER: verified_export(model.encoder, compared),
        TOKENIZER: origin.tokenizer_json,
        WEIGHTS: encoder_weights(model.encoder),
    }
    quantisation = None
    if as_live:
        parts[ENCODER], quantisation = quantised_within(parts[ENCODER], compared, as_live.accepted)
    return parts, quantisation


def _check(
    classifier: Classifier, tokens: Sequence[Tokens], features: Floats, expected: Logits
) -> None:
    """Compare the exported head with the calibrated original."""
    found, _ = classifier.head.of_tokens(features, tokens, classifier.tokenizer.pad_id)
    difference = float((np.abs(found - expected) / np.maximum(1, np.abs(expected))).max())
    if not difference <= HEAD_TOLERANCE:
        raise RoomstreamError(
            f"This is a bug: the exported head differs from the trained one by {difference:.1e}, allowed "
            f"are {HEAD_TOLERANCE:.0e}. Nothing was published."
        )
