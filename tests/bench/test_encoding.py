"""Features are computed once, and cost the same however often they are asked for."""

import numpy as np
import pytest

from artefacts.graphs import Encoder, padded
from artefacts.manifest import Blob
from bench.learning.encoding import RememberingEncoders
from tests.releases import tiny_encoder


class Clock:
    """Each reading is a second after the last."""

    def __init__(self) -> None:
        self.readings = 0.0

    def __call__(self) -> float:
        """Read it."""
        self.readings += 1
        return self.readings


def test_a_text_is_encoded_once() -> None:
    """The same bits as the encoder itself, in any batch and padding; what is spared is counted."""
    model, clock = tiny_encoder(), Clock()
    encoders = RememberingEncoders(clock)
    encoder = encoders.get(Blob.of(model), lambda _: model)
    first, second = padded([[2, 7, 3], [2, 8, 9, 3]]), padded([[2, 8, 9, 3], [2, 9, 9, 9, 9, 3]])
    found = [encoder.features(*first), encoder.features(*second), encoder.features(*second)]
    plain = Encoder(model)

    assert np.array_equal(found[0], plain.features(*first))
    assert np.array_equal(found[1], plain.features(*second))
    assert np.array_equal(found[1], found[2])
    assert encoders.spared.seconds == pytest.approx(0.5 + 0.5 + 1.0)
    assert clock.readings == 4
