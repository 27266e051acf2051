"""The orders in which the benchmark teaches."""

import csv
from pathlib import Path

import pytest

from bench.learning.rows import Row, listings, tasks
from bench.learning.streams import (
    BURST,
    CITIES,
    DECIDED,
    WRONG_SHARE,
    Size,
    by_time,
    class_burst,
    in_turn,
    noisy,
    of_tasks,
    sharp_drift,
    shuffled,
    standard,
    undecided,
)
from schemas.errors import ConfigurationError

LABELS = [label for labels in BURST for label in labels]
SIZE = Size(rows=400, test=40)


def city(name: str, count: int = 600) -> list[Row]:
    """Rows of a city, every fifth a test row."""
    return [
        Row(f"{name}-{n}", f"text {n}", LABELS[n % 4], name, name, tested=n % 5 == 0)
        for n in range(count)
    ]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small files of every city; the titles of one are replaced, most by one that tells nothing."""
    folder = tmp_path_factory.mktemp("listings")
    for name in (*CITIES, "barcelona", "drift_masked_barcelona"):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["listing_id", "city", "name", "room_type", "snapshot", "fold"])
            for number in range(200):
                title = (
                    "a rental unit" if "masked" in name and number % 8 < 6 else f"title {number}"
                )
                snapshot = f"2026-0{number % 3 + 1}-01"
                rows.writerow([number, name, title, LABELS[number % 4], snapshot, number % 5])
    return folder


def test_the_standard_streams_are_seven(data: Path) -> None:
    """All but cities in turn have fewer rows; what belongs together has the same rows and test."""
    groups = standard(data, Size(rows=120, test=30), 0)
    fewer = groups[2]

    assert [[stream.name for stream in group] for group in groups] == [
        ["cities in turn"], ["sharp drift"], ["class burst", "shuffled", "noise"], ["time"],
    ]  # fmt: skip
    assert len(groups[0][0].rows) == 4 * 120
    assert {len(stream.rows) for stream in fewer} == {4 * 30}
    assert len({tuple(sorted(row.key for row in stream.rows)) for stream in fewer}) == 1
    assert all(not row.tested for group in groups for stream in group for row in stream.rows)


def test_snapshots_come_oldest_first(data: Path) -> None:
    """Together they have as many rows as a city; each is a phase and a part."""
    stream = by_time(data, Size(rows=90, test=60), 0)

    assert [phase.name for phase in stream.phases] == ["2026-01-01", "2026-02-01", "2026-03-01"]
    assert [len(phase.rows) for phase in stream.phases] == [30, 30, 30]
    assert all(row.part == phase.name for phase in stream.phases for row in phase.rows)
    assert [part.since for part in sorted(stream.parts, key=lambda part: part.name)] == [0, 1, 2]


def test_a_sharp_drift_is_judged_soon_after_too(data: Path) -> None:
    """The new titles come in two phases; those that tell something are looked at by themselves."""
    stream = sharp_drift(data, Size(rows=1_500, test=40, share=0.1), 0)
    before, soon, rest = stream.phases
    (aside,) = stream.asides

    assert [phase.name for phase in stream.phases] == [
        "barcelona", "drift_masked_barcelona, first 1,000", "drift_masked_barcelona",
    ]  # fmt: skip
    assert {row.part for row in before.rows} == {"barcelona"}
    assert (len(before.rows), len(soon.rows), len(rest.rows)) == (150, 100, 50)
    assert {row.part for row in [*soon.rows, *rest.rows]} == {"drift_masked_barcelona"}
    assert aside.name == DECIDED
    assert 0 < len(aside.places) < 20
    assert all(stream.test[place].text != "a rental unit" for place in aside.places)


def test_cities_come_in_turn() -> None:
    """One phase a city, none of its rows in the test, and the test is the same for every seed."""
    first, second = (in_turn("s", [city("a"), city("b")], SIZE, seed) for seed in (0, 1))

    assert [phase.name for phase in first.phases] == ["a", "b"]
    assert [len(phase.rows) for phase in first.phases] == [400, 400]
    assert not any(row.tested for row in first.rows)
    assert all(row.tested for row in first.test)
    assert first.test == second.test
    assert first.rows != second.rows
    assert first.begin == first.phases[0].rows
    assert [(part.name, len(part.places), part.since) for part in first.parts] == [
        ("a", 40, 0),
        ("b", 40, 1),
    ]


def test_a_class_burst_teaches_the_same_rows_class_after_class() -> None:
    """Nothing is added or lost; the parts of the test are the groups of classes."""
    cities = in_turn("s", [city("a"), city("b")], SIZE, 0)
    burst = class_burst(cities)

    assert sorted(row.key for row in burst.rows) == sorted(row.key for row in cities.rows)
    assert [{row.label for row in phase.rows} for phase in burst.phases] == [set(g) for g in BURST]
    assert [part.since for part in sorted(burst.parts, key=lambda part: part.since)] == [0, 1, 2]


def test_noise_is_the_shuffled_stream_with_wrong_labels_in_its_midst() -> None:
    """The same rows in the same order and phases; 30% of one phase are of another class."""
    clean = shuffled(in_turn("s", [city("a", 1500), city("b", 1500)], Size(1000, 40), 0), SIZE, 0)
    noise = noisy(clean, 0)
    wrong = [
        [one.label != other.label for one, other in zip(left.rows, right.rows, strict=True)]
        for left, right in zip(clean.phases, noise.phases, strict=True)
    ]

    assert [row.key for row in clean.rows] == [row.key for row in noise.rows]
    assert [any(phase) for phase in wrong] == [False, True, False]
    assert len(wrong[1]) == 1_000
    assert sum(wrong[1]) == pytest.approx(1_000 * WRONG_SHARE, abs=50)


def test_a_text_of_many_classes_tells_nothing() -> None:
    """It is undecided if it is common and no class has two thirds of it."""
    counts = {"even": (10, 10), "clear": (7, 14), "rare": (9, 10)}
    rows = [
        Row("", text, label, "", "", tested=False)
        for text, each in counts.items()
        for label, count in zip(("Entire home/apt", "Private room"), each, strict=True)
        for _ in range(count)
    ]

    assert undecided(rows) == {"even"}


def test_tasks_of_a_csv_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    """A class-incremental benchmark needs four columns; each task is a phase and a part."""
    path = tmp_path / "clinc.csv"
    rows = [
        f"text {number},label {task}{number % 2},task {task},{'test' if number < 4 else 'train'}"
        for task in ("b", "a")
        for number in range(30)
    ]
    path.write_text("\n".join(["text,label,task,split", *rows]))
    stream = of_tasks(path, Size(), seed=0)

    assert stream.name == "clinc"
    assert [phase.name for phase in stream.phases] == ["task b", "task a"]
    assert [len(phase.rows) for phase in stream.phases] == [26, 26]
    assert len(stream.test) == 8
    assert stream.classes == ["label a0", "label a1", "label b0", "label b1"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("text,label,task\nx,y,z\n", "no column split"),
        ("text,label,task,split\nx,y,z,dev\n", "neither 'train' nor 'test'"),
    ],
)
def test_a_wrong_csv_is_named(tmp_path: Path, text: str, why: str) -> None:
    """What is wrong with it, and what it should have."""
    path = tmp_path / "tasks.csv"
    path.write_text(text)

    with pytest.raises(ConfigurationError, match=why):
        tasks(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """With the folder, and how to name another."""
    with pytest.raises(ConfigurationError, match=r"There is no atlantis\.csv\.gz in .*--data"):
        listings(tmp_path, "atlantis")


def test_a_task_without_a_test_is_named(tmp_path: Path) -> None:
    """Its forgetting could not be told."""
    path = tmp_path / "tasks.csv"
    path.write_text("text,label,task,split\nx,y,first,train\n")

    with pytest.raises(ConfigurationError, match="'first' needs both train and test rows"):
        of_tasks(path, Size(), seed=0)
