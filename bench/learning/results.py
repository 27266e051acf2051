"""What one run found, and the mean and spread over seeds."""

import statistics
from collections.abc import Iterable, Sequence

import msgspec

from bench.learning.methods import Cost
from bench.learning.scores import Scores


class Result(msgspec.Struct, frozen=True):
    """
    A method on a stream with a seed.

    Attributes:
        stream: Its name.
        method: Its name.
        seed: Of everything random.
        scores: How well it learned.
        phases: Names of the phases that it was judged after.
        cpu_seconds_per_1000_labels: Encoding included.
        label_to_live_seconds: The median, without waiting for other labels.
        announced: Releases made.
        refused: Candidates refused.
        alarms: How many labels had come at each drift alarm.
    """

    stream: str
    method: str
    seed: int
    scores: Scores
    phases: list[str]
    cpu_seconds_per_1000_labels: float
    label_to_live_seconds: float
    announced: int
    refused: int
    alarms: list[int]


def result(
    names: tuple[str, str], seed: int, scores: Scores, phases: Sequence[str], cost: Cost
) -> Result:
    """Put together what is known of a run of (stream, method)."""
    return Result(
        *names,
        seed,
        scores,
        list(phases),
        1000 * cost.cpu_seconds / scores.labels[-1],
        statistics.median(cost.waits),
        cost.announced,
        cost.refused,
        cost.alarms,
    )


class Spread(msgspec.Struct, frozen=True):
    """The mean over seeds, and the standard deviation where there are several."""

    mean: float
    deviation: float | None

    @classmethod
    def of(cls, figures: Iterable[float | None]) -> "Spread | None":
        """Of some figures; None if none is known."""
        known = [figure for figure in figures if figure is not None]
        if not known:
            return None
        return cls(statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None)


def of(results: Sequence[Result], stream: str, method: str) -> list[Result]:
    """The results of a method on a stream, by seed."""
    found = [each for each in results if (each.stream, each.method) == (stream, method)]
    return sorted(found, key=lambda each: each.seed)


def paired(
    results: Sequence[Result], ours: tuple[str, str], theirs: tuple[str, str], figure: str
) -> Spread | None:
    """
    The difference of a score between two (stream, method), seed by seed.

    Args:
        results: All.
        ours: From it …
        theirs: … this is taken away.
        figure: A field of `Scores`.
    """
    by_seed = {each.seed: getattr(each.scores, figure) for each in of(results, *theirs)}
    return Spread.of(
        getattr(each.scores, figure) - by_seed[each.seed]
        for each in of(results, *ours)
        if each.seed in by_seed
    )
