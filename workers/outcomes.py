"""What became of the records of a window."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from artefacts.graphs import Encoded, Floats
from runtime.records import Outbound, Record
from workers.trials import Challenger, Trial

Kind = Literal["classified", "dead", "skipped"]


@dataclass(frozen=True)
class Outcome:
    """
    What became of one record.

    Attributes:
        record: The input.
        kind: Answered, dead or passed over.
        messages: What to send: an answer, perhaps with a review request, or a dead letter.
        detail: The stage where it died, or the reason for review; else empty.
        systemic: It died of what the world may mend, not of itself.
        label: What the release says.
        explored: Another label is shown.
    """

    record: Record
    kind: Kind
    messages: tuple[Outbound, ...] = ()
    detail: str = ""
    systemic: bool = False
    label: str = ""
    explored: bool = False


@dataclass
class Window:
    """
    What became of a window.

    Attributes:
        release: The live release, which answered all that no canary did.
        outcomes: One a record, in order.
        stage_seconds: Time by stage.
        encoded: What every run of an encoder took.
        live: What the live release did.
        trials: What each challenger did.
        features: Of some listings that the live release answered, each float32 (listings, dim).
        review_entropy: Answers above this entropy, in nats, count as uncertain; not a number without
            a budget for reviews.
    """

    release: str = ""
    outcomes: list[Outcome] = field(default_factory=list)
    stage_seconds: dict[str, float] = field(default_factory=dict)
    encoded: list[Encoded] = field(default_factory=list)
    live: Trial = field(default_factory=Trial)
    trials: dict[Challenger, Trial] = field(default_factory=dict)
    features: list[Floats] = field(default_factory=list)
    review_entropy: float = math.nan

    def tried(self) -> Counter[tuple[str, str]]:
        """How many listings challengers took, by channel and outcome."""
        counts: Counter[tuple[str, str]] = Counter()
        for challenger, trial in self.trials.items():
            channel = challenger.channel
            agreed = "answered" if channel == "canary" else "agrees"
            counts[channel, agreed] += trial.listings - trial.differing
            counts[channel, "differs"] += trial.differing
            counts[channel, "failed"] += trial.failed
        return +counts


Answer = Callable[[Sequence[Record]], Window]
"""Turns a window of records into outcomes; what a delivery engine calls."""
