"""The curve as a picture."""

from pathlib import Path

import numpy as np
import pytest

from artefacts.manifest import Losses
from schemas.errors import ConfigurationError
from trainer.transfer.curve import check_picture, draw, save

CURVE = [Losses(10, 1.2, 1.1), Losses(20, 0.6, 0.8), Losses(30, 0.3, 0.9)]


@pytest.mark.parametrize(("kind", "begins"), [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_it_is_saved_as_its_ending_says(tmp_path: Path, kind: str, begins: bytes) -> None:
    """Whole, and the same bytes for the same figures."""
    path, again = tmp_path / f"curve.{kind}", tmp_path / f"again.{kind}"
    for each in (path, again):
        check_picture(each)
        save(draw(CURVE, 20, "A test"), each)

    assert path.read_bytes().startswith(begins)
    assert path.read_bytes() == again.read_bytes()
    assert sorted(each.name for each in tmp_path.iterdir()) == [again.name, path.name]


def test_it_shows_both_losses_and_what_is_kept() -> None:
    """Two lines, and a level at the best step."""
    (axes,) = draw(CURVE, 20, "A test").axes
    drawn = {str(line.get_label()): np.asarray(line.get_ydata()).tolist() for line in axes.lines}

    assert drawn["training loss"] == [1.2, 0.6, 0.3]
    assert drawn["validation loss"] == [1.1, 0.8, 0.9]
    assert "kept: step 20" in drawn


@pytest.mark.parametrize("name", ["curve.docx", "curve", "nowhere/curve.svg", "folder.svg"])
def test_what_cannot_be_written_is_said_before_a_training(tmp_path: Path, name: str) -> None:
    """Not after hours."""
    (tmp_path / "folder.svg").mkdir()

    with pytest.raises(ConfigurationError, match="--picture"):
        check_picture(tmp_path / name)
