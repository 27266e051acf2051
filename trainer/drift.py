"""
Has the stream changed? Watches the prequential error of every domain.

The detectors and what they have last seen are kept in the transaction of the labels, suspects among them,
so that a trainer that starts goes on as if it had never stopped.
"""

from collections import Counter, OrderedDict
from collections.abc import Sequence
from datetime import datetime

import msgspec
import numpy as np
import structlog

from trainer.database import Database
from trainer.detectors import Detectors
from trainer.intake import Label
from trainer.learners.base import Example
from trainer.metrics import TrainerMetrics
from trainer.watched import Outcome

_log = structlog.get_logger(__name__)

_HANDLED = "drift handled"
_DOMAINS = 200
_RECENT = 1_000


class DriftEvent(msgspec.Struct, frozen=True):
    """
    The stream has changed.

    Attributes:
        number: Counts the events of a database, from 1.
        domain: Where; empty for labels of which it is not known.
        detector: What has seen it.
        since: When the first label of the new kind was given, by the likeliest point of change.
        labels: How many labels came since then.
        error_before: The share of wrong predictions before it, in the last labels of the domain.
        error_after: And since.
        classes_before: The share of each class before it.
        classes_after: And since.
        label: The number of the last label that was kept before it was seen.
    """

    number: int
    domain: str
    detector: str
    since: datetime
    labels: int
    error_before: float
    error_after: float
    classes_before: dict[str, float]
    classes_after: dict[str, float]
    label: int = 0


class Drift:
    """
    All domains of one trainer; of very many, those that were heard of last.

    Args:
        database: Keeps what is remembered, and the events.
        metrics: Where events are counted.
    """

    def __init__(self, database: Database, metrics: TrainerMetrics) -> None:
        self._database = database
        self._metrics = metrics
        self._watches = OrderedDict(
            (domain, Detectors.from_state(state)) for domain, state in database.watched.detectors()
        )
        self._show()

    @property
    def pending(self) -> DriftEvent | None:
        """The first change that nothing was done about yet: more of them do not put it off."""
        handled = int(self._database.fact(_HANDLED) or b"0")
        event = self._database.drift_after(handled)
        return msgspec.json.decode(event, type=DriftEvent) if event else None

    def handle(self) -> None:
        """Note that something is done about all changes so far; within a transaction."""
        self._database.remember(_HANDLED, str(self._database.drifts()).encode())
        self._show()

    def observe(
        self, labelled: Sequence[tuple[Label, Example]], predicted: Sequence[str | None]
    ) -> None:
        """
        See what was predicted for labels; within the transaction that keeps them.

        Args:
            labelled: Labels, in the order in which they are kept.
            predicted: What was predicted for each; None where nothing was, which says nothing.
        """
        heard = set()
        for (label, _), guess in zip(labelled, predicted, strict=True):
            if guess is not None:
                self._add(Outcome(label.domain, label.label, guess, label.labelled_at))
                heard.add(label.domain)
        for domain, detectors in self._watches.items():
            if domain in heard:
                self._database.watched.keep(domain, detectors.state(), _RECENT)

    def _add(self, outcome: Outcome) -> None:
        """Take in a label; where it shows a change, the domain is watched afresh from here on."""
        domain = outcome.domain
        detectors = self._watches.setdefault(domain, Detectors())
        self._watches.move_to_end(domain)
        self._database.watched.add(outcome)
        if len(self._watches) > _DOMAINS:
            self._drop(next(iter(self._watches)))
        if found := detectors.add(outcome.wrong):
            self._record(domain, found, self._database.watched.last(domain, _RECENT))
            self._drop(domain)

    def _drop(self, domain: str) -> None:
        del self._watches[domain]
        self._database.watched.drop(domain)

    def _record(self, domain: str, detector: str, last: Sequence[Outcome]) -> None:
        cut = change_point([outcome.wrong for outcome in last])
        before, after = last[:cut], last[cut:]
        event = DriftEvent(
            number=self._database.drifts() + 1,
            domain=domain,
            detector=detector,
            since=after[0].labelled_at,
            labels=len(after),
            error_before=_error(before),
            error_after=_error(after),
            classes_before=_shares(before),
            classes_after=_shares(after),
            label=self._database.last_learned(),
        )
        self._database.add_drift(event.number, msgspec.json.encode(event))
        self._metrics.drifts.labels(detector).inc()
        self._show()
        _log.warning("the stream has changed", **msgspec.to_builtins(event))

    def _show(self) -> None:
        self._metrics.drift_pending.set(self.pending is not None)


def last_change(database: Database) -> DriftEvent | None:
    """When the stream has changed for the last time, if it ever has."""
    last = database.last_drift()
    return msgspec.json.decode(last, type=DriftEvent) if last else None


def change_point(wrong: Sequence[bool]) -> int:
    """
    Where an error rate most likely rose.

    Hinkley 1970, "Inference about the change-point in a sequence of random variables".

    Args:
        wrong: At least two labels, oldest first: whether the prediction was wrong.

    Returns:
        The index of the first label after the rise, 1 or more.
    """
    errors = np.cumsum(np.asarray(wrong, float))
    before, sizes = errors[:-1], np.arange(1, len(wrong))
    after, rest = errors[-1] - before, len(wrong) - sizes
    likelihood = _log_likelihood(before, sizes) + _log_likelihood(after, rest)
    rises = after / rest >= before / sizes
    return int(sizes[np.where(rises, likelihood, -np.inf).argmax()])


def _log_likelihood(errors: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Of so many errors in so many labels, at the rate that fits best."""
    rate = np.clip(errors / sizes, 1e-12, 1 - 1e-12)
    found: np.ndarray = errors * np.log(rate) + (sizes - errors) * np.log1p(-rate)
    return found


def _error(outcomes: Sequence[Outcome]) -> float:
    return sum(outcome.wrong for outcome in outcomes) / len(outcomes)


def _shares(outcomes: Sequence[Outcome]) -> dict[str, float]:
    counts = Counter(outcome.label for outcome in outcomes)
    return {label: count / len(outcomes) for label, count in counts.most_common()}
