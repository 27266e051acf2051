"""Weights that go from release to release: a fine-tuning begins where the one before ended."""

from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import save

from artefacts.errors import ReleaseRefused
from artefacts.graphs import Encoder
from artefacts.manifest import ENCODER, WEIGHTS
from tests.releases import ROOM_TYPES
from tests.trainer.distilberts import save_classifier, save_model
from trainer.base_import import import_base
from trainer.encoders import encoder_of_weights, encoder_weights


@pytest.mark.parametrize("kind", ["base", "classifier"])
def test_the_encoder_of_a_release_is_built_again(tmp_path: Path, kind: str) -> None:
    """Pooled as it was, of either kind: it says what the graph beside it says, and is written alike."""
    if kind == "base":
        save_model(tmp_path)
        imported = import_base(str(tmp_path), ROOM_TYPES)
    else:
        save_classifier(tmp_path, dict(enumerate(ROOM_TYPES)))
        imported = import_base(str(tmp_path))
    encoder = encoder_of_weights(imported.parts[WEIGHTS])
    ids = torch.tensor([[2, 17, 30, 9, 3]])
    with torch.no_grad():
        found = encoder(ids, torch.ones_like(ids)).numpy()
    expected = Encoder(imported.parts[ENCODER]).features(ids.numpy(), torch.ones_like(ids).numpy())

    assert abs(found - expected).max() < 1e-5
    assert encoder_weights(encoder) == imported.parts[WEIGHTS]
    assert imported.manifest.blobs[WEIGHTS].size_bytes == len(imported.parts[WEIGHTS])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not weights at all",
        save({"x": torch.zeros(1)}),
        save({"x": torch.zeros(1)}, {"roomstream": "{}"}),
        save({"x": torch.zeros(1)}, {"roomstream": '{"pooling": "mean", "config": {}}'}),
    ],
    ids=["empty", "text", "foreign", "shapeless", "other tensors"],
)
def test_other_files_are_refused(data: bytes) -> None:
    """With what is wrong and what to do."""
    with pytest.raises(ReleaseRefused, match="Import the base model again"):
        encoder_of_weights(data)


def test_only_what_shapes_the_model_is_written(tmp_path: Path) -> None:
    """No path of the machine that it was imported on."""
    save_model(tmp_path)
    data = import_base(str(tmp_path), ROOM_TYPES).parts[WEIGHTS]
    length = int.from_bytes(data[:8], "little")
    header = msgspec.json.decode(data[8 : 8 + length])

    assert str(tmp_path) not in header["__metadata__"]["roomstream"]
