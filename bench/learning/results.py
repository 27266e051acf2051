"""What one run found, and the mean and spread over seeds."""

import statistics
from collections.abc import Callable, Iterable, Sequence

import msgspec

from bench.learning.methods import Cost
from bench.learning.scores import Scores
from bench.learning.streams import NOISE_STREAM, SHUFFLED_STREAM

Figure = Callable[[Scores], float | None]


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
        label_to_live_seconds: The median, without waiting for other labels; None if nothing went live.
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
    label_to_live_seconds: float | None
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
        statistics.median(cost.waits) if cost.waits else None,
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
    results: Sequence[Result],
    ours: tuple[str, str],
    theirs: tuple[str, str],
    figure: Figure,
    of_theirs: Figure | None = None,
) -> Spread | None:
    """
    The difference of a score between two (stream, method), seed by seed.

    Args:
        results: All.
        ours: From it …
        theirs: … this is taken away.
        figure: Such as `accuracy`.
        of_theirs: What is taken away, if it is another figure.
    """
    by_seed = {each.seed: (of_theirs or figure)(each.scores) for each in of(results, *theirs)}
    pairs = [
        (figure(each.scores), by_seed[each.seed])
        for each in of(results, *ours)
        if each.seed in by_seed
    ]
    return Spread.of(None if one is None or other is None else one - other for one, other in pairs)


def accuracy(scores: Scores) -> float:
    """At the end."""
    return scores.accuracy


def macro_f1(scores: Scores) -> float:
    """At the end."""
    return scores.macro_f1


def on(part: str, phase: int = -1) -> Figure:
    """Accuracy on a part of the test after a phase, the last unless another is named."""
    return lambda scores: scores.by_part[phase].get(part)


def recall_share(results: Sequence[Result], stream: str, label: str) -> Spread | None:
    """
    Our mean recall of a class as a share of the mean that joint fine-tuning has on the same seeds.

    A class of which joint fine-tuning finds nothing counts as 1. The spread is that of the linearised
    ratio (Cochran 1977, "Sampling Techniques", section 2.11).
    """
    joint = {each.seed: each.scores.recall[label] for each in of(results, stream, "joint")}
    pairs = [
        (each.scores.recall[label], joint[each.seed])
        for each in of(results, stream, "ours")
        if each.seed in joint
    ]
    if not pairs:
        return None
    ours, theirs = (statistics.fmean(figures) for figures in zip(*pairs, strict=True))
    if not theirs:
        return Spread(1.0, None)
    share = ours / theirs
    return Spread.of(share + (one - share * other) / theirs for one, other in pairs)


def lost_by_noise(results: Sequence[Result], method: str) -> list[list[float]]:
    """Accuracy at the end of each phase minus that of the same stream without noise, seed by seed."""
    clean = {each.seed: each.scores.accuracies for each in of(results, SHUFFLED_STREAM, method)}
    return [
        [noisy - calm for noisy, calm in zip(each.scores.accuracies, clean[each.seed], strict=True)]
        for each in of(results, NOISE_STREAM, method)
        if each.seed in clean
    ]
