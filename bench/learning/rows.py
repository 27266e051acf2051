"""Labelled texts from files: folders of listings, and class-incremental benchmarks as one CSV."""

import csv
import gzip
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import ConfigurationError

TEST_FOLD = "0"
LONGEST_TEXT = 2_000  # characters: a title on Kafka may be as long

_LISTINGS = ("listing_id", "city", "name", "room_type", "snapshot", "fold")
_TASKS = ("text", "label", "task", "split")


@dataclass(frozen=True, slots=True)
class Row:
    """
    A labelled text.

    Attributes:
        key: Tells it from all others.
        text: What is classified.
        label: Its class.
        domain: Where it comes from, such as a city: accuracy is a mean over domains.
        part: What it belongs to in a stream, such as a city, a snapshot or a task.
        tested: It is judged by and never learned.
    """

    key: str
    text: str
    label: str
    domain: str
    part: str
    tested: bool


def listings(folder: Path, name: str, by_snapshot: bool = False) -> list[Row]:
    """
    Read `NAME.csv.gz` or `NAME.csv` of a folder, in its order.

    Fold 0 is the test: its hosts are in no other fold.

    Args:
        folder: Where it is.
        name: The file without its ending; what its rows belong to …
        by_snapshot: … unless they belong to the snapshot that they are of.

    Raises:
        ConfigurationError: It is not there, or a column is missing.
    """
    found = [path for path in (folder / f"{name}.csv.gz", folder / f"{name}.csv") if path.exists()]
    if not found:
        raise ConfigurationError(
            f"There is no {name}.csv.gz in {folder}. Name a folder with --data, and files of it with "
            "--stream."
        )
    return [
        Row(
            f"{name}-{number}-{each['listing_id']}",
            each["name"][:LONGEST_TEXT],
            each["room_type"],
            each["city"],
            each["snapshot"] if by_snapshot else name,
            each["fold"] == TEST_FOLD,
        )
        for number, each in enumerate(_read(found[0], _LISTINGS))
    ]


def tasks(path: Path) -> list[Row]:
    """
    Read a class-incremental benchmark: a CSV with the columns text, label, task and split.

    Raises:
        ConfigurationError: It cannot be read, a column is missing, or a split is neither train nor test.
    """
    rows = []
    for number, each in enumerate(_read(path, _TASKS)):
        if each["split"] not in ("train", "test"):
            raise ConfigurationError(
                f"{path}, row {number + 1}: the split {each['split']!r} is neither 'train' nor 'test'."
            )
        text = each["text"][:LONGEST_TEXT]
        tested = each["split"] == "test"
        rows.append(Row(f"row-{number}", text, each["label"], "", each["task"], tested))
    return rows


def drawn(rows: Sequence[Row], count: int, seed: int) -> list[Row]:
    """Draw so many rows at random without replacement, and leave them in their order."""
    if len(rows) <= count:
        return list(rows)
    chosen = random.Random(seed).sample(range(len(rows)), count)  # noqa: S311 - no secret
    return [rows[place] for place in sorted(chosen)]


def _read(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """The rows of a CSV file whose text is not empty."""
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            missing = [name for name in columns if name not in (rows.fieldnames or ())]
            if missing:
                raise ConfigurationError(
                    f"{path} has no column {', '.join(missing)}; needed are {', '.join(columns)}."
                )
            text = "name" if "name" in columns else "text"
            yield from (row for row in rows if row[text].strip())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}.") from error
