"""What the passes show together. Pure."""

from collections.abc import Callable, Sequence

from bench.learning.results import Spread
from bench.people.arms import ALL
from bench.people.passing import Result

TARGET_BUDGET, TARGET = 0.2, 0.97
"""So much of the labels, well chosen, is to give so much of the accuracy of all of them."""

Measure = Callable[[Result], float]


def accuracy(result: Result) -> float:
    """At the end of the stream."""
    return result.looks[-1].accuracy


def macro_f1(result: Result) -> float:
    """At the end of the stream."""
    return result.looks[-1].macro_f1


def shown_right(result: Result) -> float:
    """Of all answers on the way."""
    return result.shown_right


def labels(result: Result) -> float:
    """How many a person gave."""
    return float(result.looks[-1].labels)


def of(results: Sequence[Result], city: str, arm: str) -> list[Result]:
    """The passes of an arm through a city's streams, by seed."""
    found = [each for each in results if (each.city, each.arm) == (city, arm)]
    return sorted(found, key=lambda each: each.seed)


def spread(results: Sequence[Result], city: str, arm: str, measure: Measure) -> Spread | None:
    """The mean over seeds and its deviation; None where nothing was run."""
    return Spread.of(map(measure, of(results, city, arm)))


def share_of_all(results: Sequence[Result], city: str, arm: str, measure: Measure) -> Spread | None:
    """A figure as a share of the same with all labels, seed by seed."""
    whole = {each.seed: measure(each) for each in of(results, city, ALL)}
    found = of(results, city, arm)
    return Spread.of(measure(each) / whole[each.seed] for each in found if each.seed in whole)


def cities(results: Sequence[Result]) -> list[str]:
    """Those that were run, in the order in which they came."""
    return list(dict.fromkeys(each.city for each in results))
