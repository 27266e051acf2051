"""An encoder in 8-bit integers: near the original, the same in every batch, refused where it is not."""

from pathlib import Path

import numpy as np
import pytest

from artefacts.classifier import Classifier
from artefacts.graphs import Encoder
from artefacts.manifest import ENCODER, TOKENIZER, Blob
from artefacts.tokenisation import Tokenizer
from schemas.errors import RoomstreamError
from tests.trainer.distilberts import TEXTS, save_classifier
from trainer.base_import import Imported, import_base

ACCEPTED = 0.05


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model")
    save_classifier(path, {0: "Entire home/apt", 1: "Private room"})
    return path


@pytest.fixture(scope="module")
def exact(folder: Path) -> Imported:
    return import_base(str(folder))


@pytest.fixture(scope="module")
def quick(folder: Path) -> Imported:
    return import_base(str(folder), int8_loss=ACCEPTED)


def test_features_lose_what_the_manifest_says(exact: Imported, quick: Imported) -> None:
    """The products are of integers, the head is the same, and so are nearly all of its answers."""
    stated = quick.manifest.quantisation
    tokens = Tokenizer(exact.parts[TOKENIZER], 64).encode(TEXTS)
    before, after = (
        Encoder(each.parts[ENCODER]).of_tokens(tokens).features for each in (exact, quick)
    )
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    lost = 1 - ((before * after).sum(axis=1) / lengths)

    assert stated is not None
    assert 0 < stated.loss <= stated.accepted == ACCEPTED
    assert lost.max() < 2 * ACCEPTED
    assert b"MatMulInteger" in quick.parts[ENCODER]
    assert exact.manifest.quantisation is None


def test_a_text_has_the_same_features_in_every_batch(quick: Imported) -> None:
    """Each token has its own scale: the texts beside it do not matter."""
    encoder = Encoder(quick.parts[ENCODER])
    tokens = Tokenizer(quick.parts[TOKENIZER], 64).encode(TEXTS)
    alone = np.concatenate([encoder.of_tokens([text]).features for text in tokens])

    np.testing.assert_allclose(encoder.of_tokens(tokens).features, alone, atol=1e-5)


def test_it_passes_its_golden_inputs(quick: Imported) -> None:
    """As a worker loads it."""
    parts = {Blob.of(data).digest: data for data in quick.parts.values()}
    classifier = Classifier.load(quick.manifest, lambda blob: parts[blob.digest])

    assert len(classifier.predict(TEXTS)) == len(TEXTS)


def test_what_loses_more_than_is_accepted_is_refused(folder: Path) -> None:
    """And it says how much."""
    with pytest.raises(RoomstreamError, match=r"lose 0\.\d+ .*accepted are 1e-09"):
        import_base(str(folder), int8_loss=1e-9)
