"""Several ways to do the same, measured side by side: noise of the machine falls on all of them."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import msgspec

Tick = Callable[[str], None]


@dataclass(frozen=True)
class Way:
    """
    A way to answer texts.

    Attributes:
        run: Answers some.
        texts: How many it answers.
    """

    run: Callable[[], object]
    texts: int


class Timing(msgspec.Struct, frozen=True):
    """
    What a way took, round by round.

    Attributes:
        texts: Answered in a round.
        wall_seconds: Of each round.
        cpu_seconds: Of all threads of the process, of each round.
    """

    texts: int
    wall_seconds: list[float]
    cpu_seconds: list[float]

    @property
    def rates(self) -> list[float]:
        """Texts a second of each round."""
        return [self.texts / seconds for seconds in self.wall_seconds]

    @property
    def cpu_milliseconds(self) -> float:
        """The median of what a text took."""
        return 1000 * median(self.cpu_seconds) / self.texts


class Ratio(msgspec.Struct, frozen=True):
    """A ratio of rates, round by round: its median, and its least and most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, ours: Sequence[float], theirs: Sequence[float]) -> "Ratio":
        """How many times as fast one is as the other, by the rates of both in each round."""
        ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
        return cls(median(ratios), min(ratios), max(ratios))


def interleaved(ways: Mapping[str, Way], rounds: int, tick: Tick) -> dict[str, Timing]:
    """
    Run every way in every round, in turn, after a round that warms up.

    Args:
        ways: By name.
        rounds: How many; their medians are what counts.
        tick: Is told what runs.
    """
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            tick(name)
            wall, cpu = _timed(way)
            if number:
                spent[name].append((wall, cpu))
    return {
        name: Timing(way.texts, *map(list, _columns(spent[name]))) for name, way in ways.items()
    }


def _timed(way: Way) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    way.run()
    return time.perf_counter() - wall, time.process_time() - cpu


def _columns(pairs: Iterable[tuple[float, float]]) -> Iterable[Iterable[float]]:
    return zip(*pairs, strict=True)
