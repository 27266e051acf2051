"""Features that are computed once, however many rows of the table need them."""

from collections.abc import Callable

import numpy as np

from artefacts.graphs import Encoder, Encoders, Floats, Ids
from artefacts.manifest import Blob


class Spared:
    """CPU seconds that were not spent, since features were known: added to every cost."""

    def __init__(self) -> None:
        self.seconds = 0.0


class RememberingEncoder(Encoder):
    """
    An encoder that computes each text once: its answers are the same bits in any batch.

    Args:
        model: The graph.
        spared: Where the cost of what is known is noted.
        clock: CPU seconds of this process.
    """

    def __init__(self, model: bytes, spared: Spared, clock: Callable[[], float]) -> None:
        super().__init__(model, threads=1)
        self._spared = spared
        self._clock = clock
        self._known: dict[bytes, tuple[Floats, float]] = {}  # features, and what they cost

    def features(self, input_ids: Ids, attention_mask: Ids) -> Floats:
        """Run the encoder on those rows that it has not seen."""
        keys = [
            row[seen == 1].tobytes() for row, seen in zip(input_ids, attention_mask, strict=True)
        ]
        known = [key for key in keys if key in self._known]
        self._spared.seconds += sum(self._known[key][1] for key in known)
        new = [place for place, key in enumerate(keys) if key not in self._known]
        if new:
            started = self._clock()
            features = super().features(input_ids[new], attention_mask[new])
            cost = (self._clock() - started) / len(new)
            for place, row in zip(new, features, strict=True):
                self._known[keys[place]] = (row, cost)
        return np.stack([self._known[key][0] for key in keys])


class RememberingEncoders(Encoders):
    """
    Encoders by digest that remember their features.

    Args:
        clock: CPU seconds of this process.
        capacity: How many are kept; the one used longest ago goes first.
    """

    def __init__(self, clock: Callable[[], float], capacity: int = 3) -> None:
        super().__init__(capacity)
        self.spared = Spared()
        self._clock = clock
        self._remembering: dict[str, RememberingEncoder] = {}
        self._most = capacity

    def get(self, blob: Blob, fetch: Callable[[Blob], bytes], threads: int = 1) -> Encoder:
        """Take the encoder of this digest, loading it if it is new; it runs on one thread."""
        encoder = self._remembering.pop(blob.digest, None) or RememberingEncoder(
            fetch(blob), self.spared, self._clock
        )
        self._remembering[blob.digest] = encoder  # dicts keep their order: the last used is last
        while len(self._remembering) > self._most:
            del self._remembering[next(iter(self._remembering))]
        return encoder
