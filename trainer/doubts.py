"""Holding back labels that are doubted, until somebody says the same once more."""

from collections.abc import Sequence

import msgspec
import structlog

from trainer.database import Database, encode_fact
from trainer.doubt import Belief, Doubt, SelfConfidence
from trainer.intake import Label
from trainer.metrics import TrainerMetrics
from trainer.suspects import Suspect
from trainer.trial import SUSPECTS, Verdict

_log = structlog.get_logger(__name__)

_FACT, _TRIED = "self-confidence", "last suspect on trial"
_MOST_ANNOTATORS = 50
_OTHERS = "others"


class Doubts:
    """
    What is doubted, and what is not any more.

    A suspect is learned once a second label event of its listing says the same, from another annotator
    if both are named, or once one says that it was checked. So that a stream may move, every 100 further
    suspects the newest are put on trial (`trainer.trial`): where they are news, all of them are learned.

    Args:
        database: Where suspects are held.
        confidence: What a prediction must exceed, for a label that contradicts it to be doubted.
        metrics: Where suspects and annotators are counted.
    """

    def __init__(self, database: Database, confidence: float, metrics: TrainerMetrics) -> None:
        self._database = database
        self._suspects = database.suspects
        self._metrics = metrics
        fact = database.fact(_FACT)
        known = msgspec.json.decode(fact, type=dict[str, SelfConfidence]) if fact else None
        self._doubt = Doubt(confidence, known)
        self._opinions: list[tuple[str, bool]] = []
        self._annotators: set[str] = set()

    def holds_back(self, label: Label, belief: Belief | None) -> bool:
        """Judge a label that was not seen before; whether it was put among the suspects."""
        contradicts = self._doubt.contradicts(label.label, belief)
        others_differ = self._database.contradicted(label)
        if label.annotator:
            self._opinions.append((label.annotator, contradicts or others_differ))
        if contradicts and belief and not label.checked and not self._database.confirmed(label):
            self._suspects.add(label, belief)
            return True
        self._doubt.believe(label.label, belief if not contradicts else None)
        return False

    def contradict(self, label: str, belief: Belief | None) -> bool:
        """Whether what is said contradicts what the learner is sure of."""
        return self._doubt.contradicts(label, belief)

    def released_by(self, label: Label) -> list[Suspect]:
        """Take out the suspects that a label confirms."""
        released = self._suspects.of(label.listing_id, label.label)
        for suspect in released:
            self._suspects.remove(suspect)
        return released

    def on_trial(self) -> list[Suspect]:
        """The newest suspects, once enough of them came since the last trial."""
        last = int(self._database.fact(_TRIED) or 0)
        due = self._suspects.count_after(last) >= SUSPECTS
        return self._suspects.newest(SUSPECTS) if due else []

    def tried(self, suspects: Sequence[Suspect], verdict: Verdict) -> None:
        """Note a trial; what passed is held back no longer."""
        self._database.remember(_TRIED, str(self._suspects.last_number()).encode())
        for suspect in suspects if verdict.passed else ():
            self._suspects.remove(suspect)
        self._metrics.trials.labels("released" if verdict.passed else "held_back").inc()
        _log.warning(
            "the stream has moved: suspects are learned"
            if verdict.passed
            else "many labels contradict what is known: see 'roomstream labels suspects'",
            suspects=len(suspects),
            predicted=round(verdict.news, 3),
            holdout_before=round(verdict.before, 3),
            holdout_after=round(verdict.after, 3),
        )

    def reject(self, listing_id: str, label: str) -> None:
        """Hold back no longer what somebody says is wrong."""
        for suspect in self._suspects.of(listing_id, label):
            self._suspects.remove(suspect)

    def remember(self) -> None:
        """Write what is known of the classes; the caller has begun a transaction."""
        self._database.remember(_FACT, encode_fact(self._doubt.known))

    def observe(self) -> None:
        """Show what is held back, and count what annotators said since the last call."""
        self._metrics.suspects.set(self._suspects.count())
        opinions, self._opinions = self._opinions, []
        for annotator, disagrees in opinions:
            outcome = "disagrees" if disagrees else "agrees"
            self._metrics.annotators.labels(self._shown(annotator), outcome).inc()

    def _shown(self, annotator: str) -> str:
        if annotator not in self._annotators and len(self._annotators) >= _MOST_ANNOTATORS:
            return _OTHERS
        self._annotators.add(annotator)
        return annotator
