"""The manifest of a release: its parts by digest, what it learned from and how it was judged."""

import hashlib
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from artefacts.errors import ReleaseRefused
from schemas.events import Label

ENCODER = "encoder.onnx"
HEAD = "head.onnx"
TOKENIZER = "tokenizer.json"
ROLES = (ENCODER, HEAD, TOKENIZER)
WEIGHTS = "weights.safetensors"
"""What a trainer fine-tunes the encoder from; no worker fetches it, and a release may lack it."""

Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]


class Blob(msgspec.Struct, frozen=True):
    """One file of a release: SHA-256 in hexadecimal and length in bytes."""

    digest: Digest
    size_bytes: Annotated[int, Meta(ge=0)]

    @classmethod
    def of(cls, data: bytes) -> "Blob":
        """Describe these bytes."""
        return cls(digest=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


class Golden(msgspec.Struct, frozen=True):
    """A text and the logits, one per label, that it had where the release was made."""

    text: str
    logits: list[float]


class OffsetRange(msgspec.Struct, frozen=True):
    """Offsets `first` to `next` - 1 of a partition were learned from."""

    topic: str
    partition: int
    first: int
    next: int


class LabelOffsets(msgspec.Struct, frozen=True):
    """
    Labels by where they stood on their topic.

    A place says which message it was while the topic still holds it, and nothing once it does not. An
    event id is the producer's choice, and may well name the listing or its owner.
    """

    topic: str
    partition: int
    offsets: list[int]


class Lineage(msgspec.Struct, frozen=True):
    """
    What a release learned from.

    Attributes:
        ranges: Which messages were handled.
        labels_by_class: How many labels of each class were learned.
        deleted: How many of them are of listings that were deleted since.
        deleted_inside: Which of these the release still has something of. N-grams cannot take them
            back until they learn anew; a fine-tuned encoder, and those that come from it, never do.
        deleted_since: Which of them the release is the first one without. Every release before it
            that handled their places had seen them.
    """

    ranges: list[OffsetRange] = []
    labels_by_class: dict[str, int] = {}
    deleted: int = 0
    deleted_inside: list[LabelOffsets] = []
    deleted_since: list[LabelOffsets] = []


class GateResult(msgspec.Struct, frozen=True):
    """One condition that the release had to meet before it was announced."""

    gate: str
    passed: bool
    why: str
    figures: dict[str, float] = {}


class Figure(msgspec.Struct, frozen=True):
    """The share of right answers among some hold-out listings, in [0, 1], and how many they are."""

    share: float
    items: int


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """
    How good the release is on the hold-out, weighted to the class shares of the stream.

    Attributes:
        items: How many listings it was judged by.
        accuracy: The share of right answers, in [0, 1].
        macro_f1: The mean of F1 over the classes, in [0, 1].
        log_loss: In nats; lower is better.
        calibration_error: How far confidence is from accuracy, in [0, 1] (ECE over 15 bins).
        intervals: Lower and upper bound of each of these four by its name, with 95% confidence.
        by_class: Recall of each class.
        by_domain: Accuracy on each source or language; the 50 that have most listings.
    """

    items: int
    accuracy: float
    macro_f1: float
    log_loss: float
    calibration_error: float
    intervals: dict[str, tuple[float, float]] = {}
    by_class: dict[str, Figure] = {}
    by_domain: dict[str, Figure] = {}


class Quantisation(msgspec.Struct, frozen=True):
    """
    What an encoder in 8-bit integers loses against itself in 32-bit floats.

    Attributes:
        loss: 1 - cosine of both features of the text for which they differ most, in [0, 2].
        accepted: Encoders that lose more are not published.
    """

    loss: float
    accepted: float


class Losses(msgspec.Struct, frozen=True):
    """
    Mean loss after some steps of training, on what is learned and on what only validates.

    It is the log loss; where a teacher taught, the sum that was minimised (docs/transfer.md).
    """

    step: int
    training: float
    validation: float


class FineTuning(msgspec.Struct, frozen=True, kw_only=True):
    """
    How the encoder of a release was fine-tuned.

    Attributes:
        why: What asked for it.
        examples: Kept listings that it was trained on.
        validated_on: Kept listings that decided when to stop and which weights are best.
        seed: Of the draws and of dropout.
        curve: The losses on the way.
        best_step: The weights are those of this step.
        stopped: Why it ended: `all steps` or `overfitting`.
        quantisation: What the encoder loses in 8-bit integers, if it is in these.
    """

    why: str
    examples: int
    validated_on: int
    seed: int
    curve: list[Losses]
    best_step: int
    stopped: str
    quantisation: Quantisation | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """
    A release. Its id is unique in a store and sorts by time of creation.

    Attributes:
        release: The id, such as `20261124T040140.123Z-3f2a9c1b`.
        labels: The classes, in the order of the head's outputs.
        max_length: The longest input in tokens, special tokens included; the rest is cut.
        feature_dimensions: The width of the encoder's output.
        temperature: What the head divides its logits by (already inside the head graph).
        class_prior: The stream's share of each label (already inside the head graph).
        review_below: Answers with a lower confidence ask for review.
        blobs: The parts by role: `encoder.onnx`, `head.onnx`, `tokenizer.json`, and what the encoder
            can be fine-tuned from, `weights.safetensors`, if it is known.
        parent: The release that it was learned from, if any.
        base_model: Where the encoder came from, such as `minilm` or a folder.
        quality: How good it is on the hold-out; None where there was none.
        learner: What made the head: `untrained`, `imported`, `fine-tuned`, `distilled` or a learner's
            name.
        quantisation: What its encoder loses in 8-bit integers; None if it computes in 32-bit floats.
        fine_tuning: How its encoder was fine-tuned, where this release is the first with it.
        golden: Inputs and the logits they must have on the machine that serves them.
        versions: Libraries that made the release, by name.
    """

    release: Annotated[str, Meta(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]{0,99}\Z")]
    created_at: Annotated[datetime, Meta(tz=True)]
    labels: Annotated[list[Label], Meta(min_length=1)]
    max_length: Annotated[int, Meta(ge=3)]
    feature_dimensions: Annotated[int, Meta(ge=1)]
    temperature: Annotated[float, Meta(gt=0)] = 1.0
    class_prior: list[float] = []
    review_below: Annotated[float, Meta(ge=0, le=1)]
    blobs: dict[str, Blob]
    parent: str | None = None
    base_model: str
    learner: str
    lineage: Lineage = Lineage()
    evaluation: list[GateResult] = []
    quality: Quality | None = None
    quantisation: Quantisation | None = None
    fine_tuning: FineTuning | None = None
    golden: list[Golden] = []
    versions: dict[str, str] = {}

    def encode(self) -> bytes:
        """Write the manifest as stored: JSON with two spaces of indentation."""
        return msgspec.json.format(msgspec.json.encode(self, order="sorted"), indent=2)

    def digest(self) -> str:
        """SHA-256 of `encode()`, in hexadecimal."""
        return hashlib.sha256(self.encode()).hexdigest()


def decode_manifest(data: bytes) -> Manifest:
    """
    Read a manifest.

    Raises:
        ReleaseRefused: It is not a manifest, lacks a part, or contradicts itself.
    """
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ReleaseRefused(f"The manifest cannot be read: {error}. Publish it again.") from error
    fault = _contradiction(manifest)
    if fault:
        raise ReleaseRefused(f"The manifest of release {manifest.release} {fault}.")
    return manifest


def _contradiction(manifest: Manifest) -> str | None:
    missing = [role for role in ROLES if role not in manifest.blobs]
    if missing:
        return f"names no {', '.join(missing)}"
    if len(set(manifest.labels)) != len(manifest.labels):
        return "names a label twice"
    if len(manifest.class_prior) not in (0, len(manifest.labels)):
        return "has a class prior that is not one share per label"
    if any(len(golden.logits) != len(manifest.labels) for golden in manifest.golden):
        return "has golden logits that are not one per label"
    return None
