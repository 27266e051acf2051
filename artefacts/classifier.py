"""A loaded release: texts to labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from artefacts.errors import InferenceError, ReleaseRefused
from artefacts.graphs import Encoded, Encoder, Encoders, Floats, Head
from artefacts.manifest import ENCODER, HEAD, TOKENIZER, Blob, Golden, Manifest
from artefacts.tokenisation import Tokenizer, Tokens

GOLDEN_TOLERANCE = 1e-3
"""How far a logit may be from the one computed where the release was made."""


@dataclass(frozen=True)
class Prediction:
    """
    The answer to one text.

    Attributes:
        label: The most probable label.
        confidence: Its score.
        scores: The probability of every label; they sum to 1.
        truncated: The text was longer than the release reads.
    """

    label: str
    confidence: float
    scores: dict[str, float]
    truncated: bool


@dataclass(frozen=True)
class Inference:
    """
    What the graphs say of a window, rows in the order of its texts.

    Attributes:
        encoded: Their features, and what these took.
        logits: float32 (texts, classes).
        probabilities: float32 (texts, classes).
    """

    encoded: Encoded
    logits: Floats
    probabilities: Floats


@dataclass(frozen=True)
class Classifier:
    """A release that is loaded, checked and warm. Safe to use from one thread at a time."""

    manifest: Manifest
    tokenizer: Tokenizer
    encoder: Encoder
    head: Head

    @classmethod
    def load(
        cls,
        manifest: Manifest,
        fetch: Callable[[Blob], bytes],
        encoders: Encoders | None = None,
        threads: int = 1,
    ) -> "Classifier":
        """
        Load a release, compare it with its manifest and run its golden inputs on this machine.

        Args:
            manifest: What the release promises.
            fetch: Reads a blob and checks its digest, as `Store.get` and `BlobCache.get` do.
            encoders: Encoders and tokenizers that are in memory already.
            threads: Threads of one inference.

        Raises:
            ReleaseError: A part is missing, damaged, or does not keep what the manifest promises.
            StoreError: A part cannot be fetched.
        """
        parts, encoders = manifest.blobs, encoders or Encoders()
        classifier = cls(
            manifest,
            encoders.tokenizer(parts[TOKENIZER], fetch, manifest.max_length),
            encoders.get(parts[ENCODER], fetch, threads),
            Head(fetch(parts[HEAD]), threads),
        )
        classifier._check_widths()
        classifier._run_golden()
        return classifier

    def tokenise(self, texts: Sequence[str]) -> list[Tokens]:
        """
        Encode each text; what exceeds `max_length` tokens is cut at the end.

        Raises:
            InferenceError: The tokenizer has no answer.
        """
        return self.tokenizer.encode(texts)

    def infer(self, tokens: Sequence[Tokens]) -> Inference:
        """
        Run encoder and head in batches of similar length.

        Raises:
            InferenceError: A session rejected a batch, or an answer is not a finite number.
        """
        return self._answered(tokens, self.encoder.of_tokens(tokens, self.tokenizer.pad_id))

    def _answered(self, tokens: Sequence[Tokens], encoded: Encoded) -> Inference:
        logits, probabilities = self.head.of_tokens(encoded.features, tokens, self.tokenizer.pad_id)
        if not (np.isfinite(logits).all() and np.isfinite(probabilities).all()):
            raise InferenceError("The model's answer to a text is not a finite number.")
        return Inference(encoded, logits, probabilities)

    def predictions(self, tokens: Sequence[Tokens], inference: Inference) -> list[Prediction]:
        """Name what the graphs say, one prediction a text, in order."""
        best = inference.probabilities.argmax(axis=1)
        return [
            Prediction(
                label=self.manifest.labels[winner],
                confidence=scores[winner],
                scores=dict(zip(self.manifest.labels, scores, strict=True)),
                truncated=text.truncated,
            )
            for text, scores, winner in zip(
                tokens, inference.probabilities.tolist(), best.tolist(), strict=True
            )
        ]

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """
        Label each text.

        Args:
            texts: Any length; what exceeds `max_length` tokens is cut at the end.

        Returns:
            One prediction a text, in order. Scores lie in [0, 1] and sum to 1.

        Raises:
            InferenceError: The tokenizer or a session rejected the batch.
        """
        tokens = self.tokenise(texts)
        return self.predictions(tokens, self.infer(tokens))

    def _check_widths(self) -> None:
        promised = (self.manifest.feature_dimensions, len(self.manifest.labels))
        found = (self.encoder.dimensions, self.head.classes)
        if found != promised:
            raise ReleaseRefused(
                f"Release {self.manifest.release} has {found[0]} features and {found[1]} classes; "
                f"its manifest says {promised[0]} and {promised[1]}. Publish it again."
            )

    def _run_golden(self) -> None:
        golden = self.manifest.golden or [Golden("warm-up", [])]
        try:
            tokens = self.tokenise([item.text for item in golden])
            encoded = self.encoder.of_golden(tokens, self.tokenizer.pad_id)
            inference = self._answered(tokens, encoded)
        except InferenceError as error:
            raise ReleaseRefused(
                f"Release {self.manifest.release} cannot run here: {error}"
            ) from error
        sums = inference.probabilities.sum(axis=1)
        if inference.probabilities.min() < 0 or np.abs(sums - 1).max() > GOLDEN_TOLERANCE:
            raise ReleaseRefused(
                f"Release {self.manifest.release} gives scores that are no probabilities (their sums "
                f"are {sums.tolist()}). Export its head again."
            )
        for item, found in zip(self.manifest.golden, inference.logits, strict=False):
            difference = float(np.abs(found - np.asarray(item.logits)).max())
            if not difference <= GOLDEN_TOLERANCE:
                raise ReleaseRefused(
                    f"Release {self.manifest.release} answers {item.text!r} with the logits "
                    f"{found.tolist()}, where it was made {item.logits}. This machine or this "
                    "version of ONNX Runtime computes differently: keep the release before it, or "
                    "publish from a machine of this kind."
                )
