"""From a trained model to a release: it says what the model says, and the gates judge it."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from artefacts.classifier import Classifier
from artefacts.manifest import ENCODER, WEIGHTS, Blob, Lineage, Manifest
from artefacts.tokenisation import Tokenizer
from schemas.events import ReleaseAnnouncement
from tests.trainer.distilberts import save_classifier, save_model, tokenizer
from tests.trainer.finetuning.jobs import tiny_encoder
from tests.trainer.transfer.problem import LABELS, rows
from trainer.base_import import Imported, import_base
from trainer.encoders import PooledEncoder, encoder_of_weights
from trainer.live import LiveRelease
from trainer.settings import TrainerSettings
from trainer.transfer.candidates import Candidate, Origin, candidate_of, judged, scores
from trainer.transfer.distillation import Transfer
from trainer.transfer.lessons import Lessons
from trainer.transfer.plan import LABELS_ALONE, Pace

TOKENIZER_JSON = tokenizer().to_str().encode()
LESSONS = Lessons.of(rows(300), LABELS, 0.1)
ORIGIN = Origin(TOKENIZER_JSON, 16, "tiny", "fine-tuned", "on rows.csv", Lineage(deleted=2))


def _serving(imported: Imported) -> LiveRelease:
    parts = {Blob.of(data).digest: data for data in imported.parts.values()}
    manifest = imported.manifest
    announcement = ReleaseAnnouncement(
        channel="live",
        release=manifest.release,
        manifest_digest=manifest.digest(),
        store="memory://nowhere",
        why="a test",
        announced_at=datetime.now(UTC),
    )
    classifier = Classifier.load(manifest, lambda blob: parts[blob.digest])
    return LiveRelease(announcement, classifier)


@pytest.fixture
def untrained(tmp_path: Path) -> LiveRelease:
    """What a deployment begins with."""
    save_model(tmp_path)
    return _serving(import_base(str(tmp_path), LABELS))


@pytest.fixture
def imported(tmp_path: Path) -> LiveRelease:
    """A classifier that was trained elsewhere, and knows nothing of this problem."""
    save_classifier(tmp_path, dict(enumerate(LABELS)))
    return _serving(import_base(str(tmp_path)))


def _trained(epochs: float, encoder: PooledEncoder | None = None) -> Transfer:
    listings = LESSONS.tokenised(Tokenizer(TOKENIZER_JSON, 16))
    pace = Pace(epochs=epochs, rate=3e-3)
    training = Transfer(encoder or tiny_encoder(), listings, LABELS_ALONE, pace)
    while not training.stopped:
        training.advance()
    return training


def _failed(manifest: Manifest) -> set[str]:
    return {result.gate for result in manifest.evaluation if not result.passed}


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_the_release_says_what_the_model_says(untrained: LiveRelease, pooling: str) -> None:
    """Logits over the temperature, for texts of any length; its weights are those of its encoder."""
    start = tiny_encoder()
    start.pooling = pooling  # type: ignore[assignment] # one of the two
    training = _trained(2, start)
    candidate = candidate_of(training, LESSONS, ORIGIN, untrained, seed=0)
    model, manifest = training.best_model(), candidate.classifier.manifest
    texts = [
        "loft",
        "private room con balcon en habitacion " * 9,
        *(row.text for row in rows(5, 4)),
    ]
    tokens = candidate.classifier.tokenise(texts)
    found = candidate.classifier.infer(tokens).logits
    again = encoder_of_weights(candidate.parts[WEIGHTS])
    for row, text in zip(found, tokens, strict=True):
        ids = torch.tensor([text.ids])
        with torch.no_grad():
            features = model.encoder(ids, torch.ones_like(ids))
            assert torch.equal(features, again(ids, torch.ones_like(ids)))
        expected = scores(model, features.numpy())[0] / manifest.temperature
        np.testing.assert_allclose(row, expected, atol=2e-3, rtol=1e-3)

    assert manifest.temperature != 1
    assert np.ptp(found, axis=0).max() > 0.01  # else any head would do


def test_the_manifest_says_where_it_comes_from(untrained: LiveRelease) -> None:
    """Its parent, what it learned here and what its first weights had seen, and how it was trained."""
    training = _trained(1)
    manifest = candidate_of(training, LESSONS, ORIGIN, untrained, seed=7).classifier.manifest
    tuned = manifest.fine_tuning

    assert manifest.parent == untrained.manifest.release
    assert manifest.labels == LABELS
    assert manifest.learner == "fine-tuned"
    assert manifest.lineage.labels_by_class == dict(LESSONS.learned)
    assert manifest.lineage.deleted == 2
    assert tuned is not None
    assert (tuned.examples, tuned.validated_on) == training.examples
    assert tuned.curve == training.curve
    assert tuned.best_step == training.best_step
    assert tuned.seed == 7


def test_it_computes_in_integers_where_the_live_release_does(tmp_path: Path) -> None:
    """And may lose as much."""
    save_model(tmp_path)
    live = _serving(import_base(str(tmp_path), LABELS, int8_loss=0.5))
    candidate = candidate_of(_trained(0.5), LESSONS, ORIGIN, live, seed=0)
    quantisation = candidate.classifier.manifest.quantisation

    assert quantisation is not None
    assert quantisation.accepted == 0.5
    assert b"MatMulInteger" in candidate.parts[ENCODER]


def test_a_better_one_passes_and_a_worse_one_does_not(imported: LiveRelease) -> None:
    """Against what knows nothing, and then against each other."""
    settings = TrainerSettings()
    good = candidate_of(_trained(10), LESSONS, ORIGIN, imported, seed=0)
    poor = candidate_of(_trained(0.1), LESSONS, ORIGIN, imported, seed=0)
    accepted = judged(good.classifier, imported, LESSONS, settings)
    now = LiveRelease(imported.announcement, _with(good, accepted))
    refused = judged(poor.classifier, now, LESSONS, settings)
    again = judged(good.classifier, now, LESSONS, settings)

    assert _failed(accepted) == set()
    assert accepted.quality is not None
    assert accepted.quality.items == len(LESSONS.held_out)
    assert accepted.quality.accuracy > 0.9
    assert {"accuracy", "recall"} <= _failed(refused)
    assert _failed(again) == set()
    assert [result.gate for result in accepted.evaluation] == [
        "enough_labels",
        "enough_held_out",
        "accuracy",
        "recall",
        "calibration",
        "baseline",
    ]


def test_beside_what_knows_nothing_enough_labels_are_enough(untrained: LiveRelease) -> None:
    """As for the first release of a running trainer."""
    candidate = candidate_of(_trained(0.5), LESSONS, ORIGIN, untrained, seed=0).classifier
    settings = TrainerSettings(first_labels=10_000, first_labels_per_class=1_000)

    assert _failed(judged(candidate, untrained, LESSONS, TrainerSettings())) == set()
    assert _failed(judged(candidate, untrained, LESSONS, settings)) == {"enough_labels"}


def _with(candidate: Candidate, manifest: Manifest) -> Classifier:
    ours = candidate.classifier
    kept = msgspec.structs.replace(manifest, parent=None)
    return Classifier(kept, ours.tokenizer, ours.encoder, ours.head)
