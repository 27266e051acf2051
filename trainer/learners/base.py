"""What a learner is: it learns from features one mini-batch after another, and becomes a head."""

from collections.abc import Mapping, Sequence
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]
Logits = NDArray[np.float64]


class Learner(Protocol):
    """
    An incremental learner on the encoder's features.

    Every learner is deterministic, bounded in memory, takes a class it has not seen at any time,
    and resumes from its state as if it had never stopped.
    """

    name: str

    @property
    def classes(self) -> list[str]:
        """The labels, in the order of the logits."""
        ...

    def add_class(self, label: str) -> None:
        """Make room for a label; nothing happens where it is known."""
        ...

    def learn(self, features: Features, labels: Sequence[str]) -> None:
        """
        Learn from a mini-batch.

        Args:
            features: float32 (batch, dim).
            labels: One a row; a new one becomes a class.
        """
        ...

    def expect(self, counts: Mapping[str, int]) -> None:
        """Say how common each class is in the stream, where the learner was fed otherwise."""
        ...

    def logits(self, features: Features) -> Logits:
        """Score float32 (batch, dim): float64 (batch, classes), softmax of which are scores."""
        ...

    def prior(self) -> list[float]:
        """The stream's share of each class, as it is inside the logits."""
        ...

    def state(self) -> bytes:
        """Everything that was learned."""
        ...

    @classmethod
    def from_state(cls, state: bytes) -> Self:
        """Resume from `state()`."""
        ...

    def head(self) -> bytes:
        """The learner as an ONNX head: its logits are those of `logits` within 1e-4."""
        ...
