"""What a learner is: it learns from examples one mini-batch after another, and becomes a head."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from trainer.heads import Graph

Features = NDArray[np.float32]
Logits = NDArray[np.float64]
Weights = NDArray[np.float64]

UNSEEN_LOGIT = -1e4
"""The score of a class without an example: its probability is 0, and it is still a number."""


LEAST_SHARE = 0.01
"""A class that is less probable than this is not what a rejected example is learned as."""

TEACHING_BATCH = 64
"""Measured on 10,000 real listings that n-grams were fitted to: 256 cost half a point of accuracy."""


class Example(NamedTuple):
    """A text as a learner sees it: the encoder's features, float32 (dim,), and its token ids."""

    features: Features
    tokens: Sequence[int]


@dataclass(frozen=True)
class Examples:
    """
    Texts as learners see them.

    Attributes:
        features: What the encoder makes of them, float32 (texts, dim).
        tokens: The token ids of each, special tokens included, without padding.
    """

    features: Features
    tokens: Sequence[Sequence[int]]

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, rows: slice) -> "Examples":
        return Examples(self.features[rows], self.tokens[rows])

    def at(self, places: Sequence[int]) -> "Examples":
        """Some of them, in this order."""
        return Examples(self.features[places], [self.tokens[place] for place in places])

    @classmethod
    def of(cls, rows: Iterable[Example]) -> "Examples":
        """Put some texts together, one at least."""
        features, tokens = zip(*rows, strict=True)
        return cls(np.stack(features), tokens)


class Learner(Protocol):
    """
    An incremental learner.

    Every learner is deterministic, bounded in memory, takes a class it has not seen at any time,
    and resumes from its state as if it had never stopped.

    Attributes:
        name: What `TRAINER_LEARNER` calls it.
        rehearsal: How many examples of the replay buffer it wants to see with every label.
    """

    name: str
    rehearsal: int

    @property
    def classes(self) -> list[str]:
        """The labels, in the order of the logits."""
        ...

    def add_class(self, label: str) -> None:
        """Make room for a label; nothing happens where it is known."""
        ...

    def learn(
        self, examples: Examples, labels: Sequence[str], weights: Weights | None = None
    ) -> None:
        """
        Learn from a mini-batch.

        Args:
            examples: What came. Every feature is a finite number.
            labels: One for each; a new one becomes a class.
            weights: How many labels each counts as, above 0, float64 (examples,); None: one.
        """
        ...

    def reject(self, examples: Examples, labels: Sequence[str]) -> bool:
        """
        Learn that examples are not of a label: a step that lowers -log(1 - p(label)).

        Args:
            examples: What a person looked at.
            labels: The class of each that the person rejected; one that is known.

        Returns:
            Whether it did. A learner that cannot returns False and has changed nothing: see `refute`.
        """
        ...

    def rehearse(self, examples: Examples, labels: Sequence[str]) -> None:
        """Learn once more from examples of the replay buffer; where `rehearsal` is 0, nothing."""
        ...

    def relearned(self, examples: Examples, labels: Sequence[str]) -> Self:
        """
        Learn anew, from the replay buffer, what depends on the order in which labels came.

        Returns:
            The learner to go on with; itself where the order never mattered.
        """
        ...

    def forget(self, features: Features, labels: Sequence[str]) -> bool:
        """
        Take back examples that were learned, such as those of a listing that was deleted.

        Args:
            features: Theirs, float32 (examples, dim); what was written of them is not known any more.
            labels: One for each.

        Returns:
            Whether nothing of them is left. A learner that cannot take anything back returns False:
            it is without them once it has relearned.
        """
        ...

    def expect(self, counts: Mapping[str, int]) -> None:
        """Say how common each class is in the stream, where the learner was fed otherwise."""
        ...

    def logits(self, examples: Examples) -> Logits:
        """Score examples: float64 (examples, classes), softmax of which are scores."""
        ...

    def prior(self) -> list[float]:
        """The stream's share of each class, as it is inside the logits."""
        ...

    def state(self) -> dict[str, bytes]:
        """Everything that was learned, in parts."""
        ...

    def changes(self) -> dict[str, bytes]:
        """The parts of `state()` that differ from those at the last call, or at the beginning."""
        ...

    @classmethod
    def from_state(cls, state: Mapping[str, bytes]) -> Self:
        """Resume from `state()`, or from what `changes()` has made of it."""
        ...

    def graph(self, to: str) -> Graph:
        """
        Make the nodes of a head that compute `logits`.

        Args:
            to: The name of what they compute, float32 (batch, classes); their own names begin with it.
        """
        ...

    def head(self) -> bytes:
        """The learner as an ONNX head: its logits are those of `logits` within 1e-4."""
        ...


def refuse_no_numbers(examples: Examples) -> None:
    """
    Check that every feature is a finite number.

    Raises:
        ValueError: One is not.
    """
    if not np.isfinite(examples.features).all():
        raise ValueError("A feature is not a finite number; the encoder must not give such.")


def teach(learner: Learner, examples: Examples, labels: Sequence[str]) -> None:
    """Let a learner learn examples in mini-batches, in random order, always the same."""
    order = np.random.default_rng(0).permutation(len(examples))
    for start in range(0, len(order), TEACHING_BATCH):
        batch = order[start : start + TEACHING_BATCH].tolist()
        learner.learn(examples.at(batch), [labels[place] for place in batch])


def refute(learner: Learner, examples: Examples, labels: Sequence[str]) -> None:
    """
    Let a learner learn that examples are not of a label.

    Where it cannot descend along -log(1 - p), each example is learned as all the other classes, which
    share one label as probable as the learner finds them without the rejected one: the expectation step
    of EM for partial labels (Jin & Ghahramani 2002, "Learning with Multiple Labels"). So the rejected
    class loses weight beside all others.

    Args:
        learner: Changed where it has met a second class.
        examples: What a person looked at.
        labels: The class of each that the person rejected; one that is known.
    """
    if learner.reject(examples, labels):
        return
    shares = softmax(learner.logits(examples), axis=1)  # (examples, classes)
    shares[np.arange(len(labels)), [learner.classes.index(label) for label in labels]] = 0
    totals = shares.sum(axis=1, keepdims=True)
    shares = np.divide(shares, totals, out=np.zeros_like(shares), where=totals > 0)
    rows, places = np.nonzero(shares >= LEAST_SHARE)
    if len(rows):
        names = [learner.classes[place] for place in places]
        learner.learn(examples.at(rows.tolist()), names, shares[rows, places])
