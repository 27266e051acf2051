"""The rows of the table: what is compared, and where it says nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.learning.finetuned import Joint, Naive
from bench.learning.methods import Maker
from bench.learning.streams import DRIFT_STREAM, NOISE_STREAM, SHUFFLED_STREAM
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
        not_for: Streams where it is left out, and why.
    """

    title: str
    make: Maker
    only: frozenset[str] = frozenset()
    not_for: Mapping[str, str] = field(default_factory=dict)

    def is_for(self, stream: str) -> bool:
        """Whether it is run on a stream."""
        return stream not in self.not_for and (not self.only or stream in self.only)


_BEHIND = dict.fromkeys(
    (SHUFFLED_STREAM, NOISE_STREAM),
    "behind on the streams in order; left out to end within an hour",
)
_SAME = dict.fromkeys((SHUFFLED_STREAM, NOISE_STREAM), "in random order it is joint fine-tuning")
_NO_BOUND = {NOISE_STREAM: "a bound with wrong labels is none"}
_TRAINERS: dict[str, tuple[str, Mapping[str, str]]] = {
    "slda": ("frozen encoder + SLDA", _BEHIND),
    "mixture": ("mixture only", {}),
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
    "tfidf-sgd": Entry("TF-IDF + SGD, one pass", OnePass, not_for=_BEHIND),
    "tfidf": Entry("TF-IDF, refitted on everything", Refitted),
    "joint": Entry("joint fine-tuning (bound)", Joint, not_for=_NO_BOUND),
    "joint-ngrams": Entry(
        "joint fine-tuning + n-grams",
        lambda run: Joint(run, with_ngrams=True),
        not_for=_NO_BOUND,
    ),
    "alone": Entry(
        "fine-tuning on the new data alone",
        lambda run: Joint(run, only=[row for phase in run.stream.phases[1:] for row in phase.rows]),
        only=frozenset({DRIFT_STREAM}),
    ),
    "alone-soon": Entry(
        "fine-tuning on the first 1,000 of them alone",
        lambda run: Joint(run, only=run.stream.phases[1].rows),
        only=frozenset({DRIFT_STREAM}),
    ),
    "naive": Entry("naive fine-tuning", Naive, not_for=_SAME),
}
"""By name, in the order in which they run."""
