"""The orders in which labels arrive, and what they are judged by."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.learning.rows import Row, drawn, listings, tasks
from schemas.errors import ConfigurationError

CITIES_STREAM = "cities in turn"
CITIES = ("nyc", "dublin", "madrid", "mexico_city")
BURST_STREAM = "class burst"
BURST = (("Entire home/apt", "Private room"), ("Shared room",), ("Hotel room",))
SNAPSHOTS_OF = "madrid"
DRIFT_STREAM = "sharp drift"
DRIFT = ("barcelona", "drift_masked_barcelona")
AFTER_DRIFT = 1_000
DECIDED = "new titles that tell"
UNDECIDED_ROWS, UNDECIDED_SHARE = 20, 2 / 3
SHUFFLED_STREAM, NOISE_STREAM = "shuffled", "noise"
NOISY_ROWS = 1_000
WRONG_SHARE = 0.3


@dataclass(frozen=True)
class Phase:
    """Labels that arrive one after another; everything is judged at its end."""

    name: str
    rows: list[Row]


@dataclass(frozen=True)
class Part:
    """
    Test rows that forgetting is told of.

    Attributes:
        name: Such as a city.
        places: Where they are in the test.
        since: The phase that teaches them first.
    """

    name: str
    places: list[int]
    since: int


@dataclass(frozen=True)
class Stream:
    """
    An order of labels.

    Attributes:
        name: What the report calls it.
        phases: What arrives.
        test: What is judged by, the same rows after every phase.
        parts: The parts of the test.
        begin: What the first encoder is tuned on.
        asides: Test rows that are also looked at by themselves, and that no mean is over.
    """

    name: str
    phases: list[Phase]
    test: list[Row]
    parts: list[Part]
    begin: list[Row]
    asides: list[Part] = field(default_factory=list)

    @property
    def rows(self) -> list[Row]:
        """Everything that is taught, in order."""
        return [row for phase in self.phases for row in phase.rows]

    @property
    def classes(self) -> list[str]:
        """All classes, by name."""
        return sorted({row.label for row in [*self.rows, *self.test]})


@dataclass(frozen=True)
class Size:
    """
    How much is learned and judged.

    Attributes:
        rows: Of a city or task.
        test: Test rows of each of them.
        share: Of all these, and of what is noisy or comes after a drift; --quick lowers it.
    """

    rows: int = 6_000
    test: int = 1_500
    share: float = 1.0

    def of(self, count: int) -> int:
        """So many rows, scaled."""
        return max(20, round(count * self.share))


def in_turn(name: str, groups: Sequence[list[Row]], size: Size, seed: int) -> Stream:
    """One group of rows after another, each shuffled; the parts of the test are the groups."""
    phases, test = [], []
    for group in groups:
        taught = [row for row in group if not row.tested]
        rows = _shuffled(drawn(taught, size.of(size.rows), seed), seed)
        phases.append(Phase(group[0].part, rows))
        test += drawn([row for row in group if row.tested], size.of(size.test), 0)
    return _stream(name, phases, test, phases[0].rows)


def class_burst(cities: Stream) -> Stream:
    """The same rows as cities in turn, but some classes arrive only when the others are over."""
    phases = [
        Phase(
            " and ".join(labels),
            _shuffled([row for row in cities.rows if row.label in labels], number),
        )
        for number, labels in enumerate(BURST)
    ]
    taught = [phase for phase in phases if phase.rows]
    group_of = {row.label: phase.name for phase in taught for row in phase.rows}
    test = [replace(row, part=group_of[row.label]) for row in cities.test if row.label in group_of]
    return _stream(BURST_STREAM, taught, test, cities.begin)


def shuffled(cities: Stream, size: Size, seed: int) -> Stream:
    """The rows of cities in turn in random order, cut where the noisy stream has its noise."""
    rows = _shuffled(cities.rows, seed)
    middle = len(rows) // 2
    end = middle + size.of(NOISY_ROWS)
    phases = [
        Phase("first half", rows[:middle]),
        Phase("next 1,000", rows[middle:end]),
        Phase("rest", rows[end:]),
    ]
    parts = [replace(part, since=0) for part in cities.parts]
    return Stream(SHUFFLED_STREAM, phases, cities.test, parts, cities.begin)


def noisy(clean: Stream, seed: int) -> Stream:
    """The shuffled stream with 30% wrong labels in its second phase."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    classes = clean.classes

    def perhaps_wrong(row: Row) -> Row:
        if chance.random() >= WRONG_SHARE:
            return row
        return replace(row, label=chance.choice([label for label in classes if label != row.label]))

    before, noise, after = clean.phases
    wrong = Phase("30% wrong labels", [perhaps_wrong(row) for row in noise.rows])
    return replace(clean, name=NOISE_STREAM, phases=[before, wrong, after])


def sharp_drift(data: Path, size: Size, seed: int) -> Stream:
    """
    The titles of a city are replaced by generated ones; judged also soon after.

    Some of these titles are those of many listings of different classes, and a guess at one of them is
    right or wrong for all of them: the others are looked at by themselves.
    """
    whole = in_turn(DRIFT_STREAM, [listings(data, name) for name in DRIFT], size, seed)
    before, after = whole.phases
    cut = size.of(AFTER_DRIFT)
    soon, rest = (
        Phase(f"{after.name}, first 1,000", after.rows[:cut]),
        Phase(after.name, after.rows[cut:]),
    )
    unclear = undecided(after.rows)
    new = next(part for part in whole.parts if part.name == after.name)
    clear = [place for place in new.places if whole.test[place].text not in unclear]
    asides = [replace(new, name=DECIDED, places=clear)]
    return replace(whole, phases=[before, soon, rest], asides=asides)


def undecided(rows: Sequence[Row]) -> set[str]:
    """The texts of 20 rows or more of which no class has two thirds."""
    labels: dict[str, Counter[str]] = {}
    for row in rows:
        labels.setdefault(row.text, Counter())[row.label] += 1
    return {
        text
        for text, counts in labels.items()
        if counts.total() >= UNDECIDED_ROWS
        and max(counts.values()) < UNDECIDED_SHARE * counts.total()
    }


def by_time(data: Path, size: Size, seed: int) -> Stream:
    """The snapshots of a city, oldest first, with as many rows in all as a city has."""
    groups: dict[str, list[Row]] = {}
    for row in listings(data, SNAPSHOTS_OF, by_snapshot=True):
        groups.setdefault(row.part, []).append(row)
    rows, test = (count // len(groups) for count in (size.rows, size.test))
    smaller = replace(size, rows=rows, test=test)
    return in_turn("time", [groups[name] for name in sorted(groups)], smaller, seed)


def standard(data: Path, size: Size, seed: int) -> list[tuple[Stream, ...]]:
    """
    The streams of `make bench-learning`, those of the same rows together.

    All but cities in turn take fewer rows: all of it has to end within an hour.

    Raises:
        ConfigurationError: A file is missing.
    """
    groups = [listings(data, name) for name in CITIES]
    half, third, quarter = (replace(size, rows=size.rows // parts) for parts in (2, 3, 4))
    fewer = in_turn("fewer", groups, replace(quarter, test=2 * size.test // 3), seed)
    mixed = shuffled(fewer, size, seed)
    return [
        (in_turn(CITIES_STREAM, groups, size, seed),),
        (sharp_drift(data, half, seed),),
        (class_burst(fewer), mixed, noisy(mixed, seed)),
        (by_time(data, third, seed),),
    ]


def of_files(data: Path, names: Sequence[str], size: Size, seed: int) -> Stream:
    """Files of a folder in turn."""
    return in_turn(" → ".join(names), [listings(data, name) for name in names], size, seed)


def of_tasks(path: Path, size: Size, seed: int) -> Stream:
    """The tasks of a class-incremental CSV, in the order in which they come first."""
    groups: dict[str, list[Row]] = {}
    for row in tasks(path):
        groups.setdefault(row.part, []).append(row)
    for name, group in groups.items():
        if {row.tested for row in group} != {True, False}:
            raise ConfigurationError(f"{path}: the task {name!r} needs both train and test rows.")
    return in_turn(path.stem, list(groups.values()), size, seed)


def _stream(name: str, phases: list[Phase], test: list[Row], begin: list[Row]) -> Stream:
    since = {phase.name: number for number, phase in enumerate(phases)}
    places: dict[str, list[int]] = {}
    for place, row in enumerate(test):
        places.setdefault(row.part, []).append(place)
    parts = [Part(part, found, since[part]) for part, found in places.items()]
    return Stream(name, phases, test, parts, begin)


def _shuffled(rows: Sequence[Row], seed: int) -> list[Row]:
    mixed = list(rows)
    random.Random(seed).shuffle(mixed)  # noqa: S311 - no secret
    return mixed
