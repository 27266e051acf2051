"""How well the stream is predicted before it is learned."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

WINDOW = 1_000
DOMAINS = 50
"""Figures are told of so many domains, the commonest; there may be any number."""
ENOUGH = 20
"""Of fewer labels in the window no best is taken: a share of three labels says little."""

Name = TypeVar("Name", str, str | None)


class Prediction(NamedTuple):
    """A label, what was predicted for it (None: nothing, which counts as wrong), and its domain."""

    label: str
    predicted: str | None
    domain: str = ""

    @property
    def right(self) -> bool:
        """Whether the label was predicted."""
        return self.label == self.predicted


class Progress(NamedTuple):
    """The best share of right predictions so far, and the last one; both in [0, 1]."""

    best: float
    now: float

    @property
    def forgetting(self) -> float:
        """
        How much of the best is lost.

        Chaudhry et al. 2018, "Riemannian Walk for Incremental Learning", over windows of the stream.
        """
        return self.best - self.now


@dataclass
class Counts:
    """Predictions, counted."""

    labels: Counter[str] = field(default_factory=Counter)
    predicted: Counter[str | None] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    domains: Counter[str] = field(default_factory=Counter)
    right_domains: Counter[str] = field(default_factory=Counter)

    def add(self, prediction: Prediction, times: int = 1) -> None:
        """Count a prediction, or with times = -1 count it no more."""
        _count(self.labels, prediction.label, times)
        _count(self.predicted, prediction.predicted, times)
        _count(self.domains, prediction.domain, times)
        if prediction.right:
            _count(self.right, prediction.label, times)
            _count(self.right_domains, prediction.domain, times)

    def accuracy(self) -> float | None:
        """The share of right predictions; None before the first."""
        total = self.labels.total()
        return self.right.total() / total if total else None

    def macro_f1(self) -> float | None:
        """The mean of F1 over the classes that labels name; None before the first."""
        scores = [
            2 * self.right[label] / (count + self.predicted[label])
            for label, count in self.labels.items()
        ]
        return sum(scores) / len(scores) if scores else None

    def recall(self) -> dict[str, float]:
        """The share of right predictions among the labels of each class."""
        return _shares(self.right, self.labels)

    def domain_accuracy(self) -> dict[str, float]:
        """The share of right predictions in each of the commonest domains."""
        return _shares(self.right_domains, dict(self.domains.most_common(DOMAINS)))


class Prequential:
    """
    Prequential evaluation: every label is first predicted, then learned.

    Gama, Sebastião & Rodrigues 2013, "On evaluating stream learning algorithms".

    Args:
        history: The last predictions, oldest first.
        tally: All predictions since the start, with how often each came.
        classes: The best and the last recall of each class so far.
        domains: The best and the last accuracy of each domain so far.
        window: How many labels a sliding window has.

    Attributes:
        window: The last labels.
        since_start: All of them.
        classes: The best and the last recall in a window of each class that had enough labels in one.
        domains: The same of the accuracy on the commonest domains.
    """

    def __init__(
        self,
        history: Iterable[Prediction] = (),
        tally: Iterable[tuple[Prediction, int]] = (),
        classes: Mapping[str, Progress] | None = None,
        domains: Mapping[str, Progress] | None = None,
        window: int = WINDOW,
    ) -> None:
        self._last: deque[Prediction] = deque()
        self._size = window
        self.window, self.since_start = Counts(), Counts()
        for prediction in history:
            self._slide(prediction)
        for prediction, times in tally:
            self.since_start.add(prediction, times)
        self.classes = dict(classes or {})
        self.domains = dict(domains or {})

    def add(self, prediction: Prediction) -> None:
        """Note what was predicted for a label."""
        self._slide(prediction)
        self.since_start.add(prediction)

    def mark(self) -> None:
        """Compare the window with the best so far, once a mini-batch."""
        _improve(self.classes, self.window.recall(), self.window.labels)
        _improve(self.domains, self.window.domain_accuracy(), self.window.domains)
        if len(self.domains) > DOMAINS:
            common = {name for name, _ in self.since_start.domains.most_common(DOMAINS)}
            self.domains = {name: of for name, of in self.domains.items() if name in common}

    def _slide(self, prediction: Prediction) -> None:
        self._last.append(prediction)
        self.window.add(prediction)
        if len(self._last) > self._size:
            self.window.add(self._last.popleft(), -1)


def _count(counter: Counter[Name], name: Name, times: int) -> None:
    counter[name] += times
    if not counter[name]:  # a domain that left the window takes no memory
        del counter[name]


def _improve(
    known: dict[str, Progress], now: Mapping[str, float], counts: Mapping[str, int]
) -> None:
    for name, share in now.items():
        if counts[name] >= ENOUGH:
            best = known[name].best if name in known else 0.0
            known[name] = Progress(max(best, share), share)


def _shares(right: Mapping[str, int], counts: Mapping[str, int]) -> dict[str, float]:
    return {name: right.get(name, 0) / count for name, count in counts.items()}
