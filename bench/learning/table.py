"""The rows of the table: what is compared, and where it says nothing."""

from dataclasses import dataclass

from bench.learning.finetuned import Joint, Naive
from bench.learning.methods import Maker
from bench.learning.streams import DRIFT_STREAM, Stream
from bench.learning.tfidf import OnePass, Refitted
from bench.learning.trained import Trained
from trainer.learners import LEARNERS


@dataclass(frozen=True)
class Entry:
    """
    A row of the table.

    Attributes:
        title: What the report calls it.
        make: Makes it.
        only: The only streams it is for; none: all.
        not_for: Streams where it says nothing new.
    """

    title: str
    make: Maker
    only: frozenset[str] = frozenset()
    not_for: frozenset[str] = frozenset()

    def is_for(self, stream: Stream) -> bool:
        """Whether it is run on a stream."""
        return stream.name in (self.only or {stream.name}) - self.not_for


_SHUFFLED = frozenset({"shuffled", "noise"})
_TRAINERS = {
    "slda": ("frozen encoder + SLDA", _SHUFFLED),
    "mixture": ("mixture only", frozenset[str]()),
}

METHODS: dict[str, Entry] = {
    **{
        learner: Entry(title, lambda run, learner=learner: Trained(run, learner), not_for=not_for)  # type: ignore[misc]
        for learner, (title, not_for) in _TRAINERS.items()
        if learner in LEARNERS
    },
    "ours": Entry(
        "mixture + slow path (roomstream)", lambda run: Trained(run, "mixture", fine_tunes=True)
    ),
    "tfidf-sgd": Entry("TF-IDF + SGD, one pass", OnePass, not_for=_SHUFFLED),
    "tfidf": Entry("TF-IDF, refitted on everything", Refitted),
    "joint": Entry("joint fine-tuning (bound)", Joint, not_for=frozenset({"noise"})),
    "joint-ngrams": Entry(
        "joint fine-tuning + n-grams",
        lambda run: Joint(run, with_ngrams=True),
        not_for=frozenset({"noise"}),
    ),
    "alone": Entry(
        "fine-tuning on the new data alone",
        lambda run: Joint(run, last_alone=True),
        only=frozenset({DRIFT_STREAM}),
    ),
    "naive": Entry("naive fine-tuning", Naive, not_for=_SHUFFLED),
}
"""
By name, in the order in which they run. Naive fine-tuning on shuffled rows is joint fine-tuning, a bound
with wrong labels is none, and what is no match for a stream in order is none for one in disorder.
"""
