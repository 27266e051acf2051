"""
Has the stream changed? Watches the prequential error of every domain.

Two detectors of river: HDDM_W (Frías-Blanco et al. 2015, "Online and non-parametric drift detection
methods based on Hoeffding's bounds") and Page-Hinkley (Page 1954, "Continuous inspection schemes").
Neither knows anything that is not in the table of labels, so that a trainer that starts feeds them the
last labels again and goes on as if it had never stopped.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from datetime import datetime

import msgspec
import numpy as np
import structlog
from river.drift import PageHinkley
from river.drift.binary import HDDMW

from trainer.database import Database, Outcome
from trainer.intake import Label
from trainer.learners.base import Example
from trainer.metrics import TrainerMetrics

_log = structlog.get_logger(__name__)

_HANDLED = "drift handled"
_DOMAINS = 200
_RECENT = 1_000
_AGAIN = 10_000
# Simulated: less than one false alarm in 10,000 labels up to an error of 45%; a rise from 15% to 50% is
# seen within 75 labels, one to 40% within 103 in nine of ten cases.
_CONFIDENCE, _WEIGHT = 1e-5, 0.02
_RISE, _THRESHOLD, _LEAST = 0.07, 14.0, 30


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


class _Watch:
    """The detectors of one domain, and its last labels."""

    def __init__(self) -> None:
        self._hddm = HDDMW(_CONFIDENCE, _CONFIDENCE, _WEIGHT)
        self._page_hinkley = PageHinkley(_LEAST, _RISE, _THRESHOLD, alpha=1.0, mode="up")
        self.last: deque[Outcome] = deque(maxlen=_RECENT)

    def add(self, outcome: Outcome) -> str | None:
        """Take in a label; the detector that sees a change by it."""
        self.last.append(outcome)
        wrong = int(outcome.label != outcome.predicted)
        self._hddm.update(wrong)
        self._page_hinkley.update(wrong)
        if self._hddm.drift_detected:
            return "HDDM_W"
        return "Page-Hinkley" if self._page_hinkley.drift_detected else None


class Drift:
    """
    All domains of one trainer; of very many, those that were heard of last.

    Args:
        database: Has the labels and keeps the events.
        metrics: Where events are counted.
    """

    def __init__(self, database: Database, metrics: TrainerMetrics) -> None:
        self._database = database
        self._metrics = metrics
        self._watches: OrderedDict[str, _Watch] = OrderedDict()
        for outcome in database.outcomes(_AGAIN):
            self._add(outcome)
        self._show()

    @property
    def pending(self) -> DriftEvent | None:
        """The last change that nothing was done about yet."""
        handled = int(self._database.fact(_HANDLED) or b"0")
        event = last_change(self._database)
        return event if event and event.number > handled else None

    def handle(self, event: DriftEvent) -> None:
        """Note that something is done about a change and those before it; within a transaction."""
        self._database.remember(_HANDLED, str(event.number).encode())
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
        for (label, _), guess in zip(labelled, predicted, strict=True):
            if guess is None:
                continue
            outcome = Outcome(label.domain, label.label, guess, label.labelled_at)
            if found := self._add(outcome):
                self._record(label.domain, *found)

    def _add(self, outcome: Outcome) -> tuple[str, _Watch] | None:
        """Take in a label; where it shows a change, the domain is watched afresh from here on."""
        watch = self._watches.setdefault(outcome.domain, _Watch())
        self._watches.move_to_end(outcome.domain)
        if len(self._watches) > _DOMAINS:
            self._watches.popitem(last=False)
        detector = watch.add(outcome)
        if detector is None:
            return None
        del self._watches[outcome.domain]
        return detector, watch

    def _record(self, domain: str, detector: str, watch: _Watch) -> None:
        last = list(watch.last)
        cut = change_point([outcome.label != outcome.predicted for outcome in last])
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
    return sum(outcome.label != outcome.predicted for outcome in outcomes) / len(outcomes)


def _shares(outcomes: Sequence[Outcome]) -> dict[str, float]:
    counts = Counter(outcome.label for outcome in outcomes)
    return {label: count / len(outcomes) for label, count in counts.most_common()}
