"""The trainer's file: all or nothing, and every fault named."""

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from artefacts.manifest import Manifest, OffsetRange
from runtime.records import Record
from schemas.errors import ConfigurationError, ExitCode, RoomstreamError, TryAgain
from tests.mounts import tiny_disk
from trainer.database import VERSION, Database
from trainer.intake import Label

FEATURES = np.arange(8, dtype=np.float32)


def label(
    number: int,
    of: str = "Private room",
    text: str = "Habitación 🌿",
    propensity: float | None = 0.5,
) -> Label:
    return Label(
        record=Record("labelled", 0, number, b"key", b"{}", (), 1_000 + number),
        event_id=f"e-{number}",
        listing_id=f"l-{number}",
        text=text,
        label=of,
        origin="person",
        labelled_at=datetime(2026, 11, 24, tzinfo=UTC),
        propensity=propensity,
        domain="madrid",
    )


def keep(database: Database, *labels: Label, held_out: bool = False) -> None:
    """What a mini-batch writes."""
    with database.transaction():
        for each in labels:
            seq = database.add_label(each, held_out, None)
            database.kept.put(seq, held_out, each, FEATURES)
            database.advance("labelled", 0, each.record.offset, each.record.offset + 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trainer.sqlite"


def test_what_was_written_is_there_after_a_restart(path: Path) -> None:
    """Labels, items, facts and offsets come back."""
    with Database(path) as database:
        keep(database, label(1), label(2, "Hotel room"))
        keep(database, label(3), held_out=True)
        with database.transaction():
            database.remember("learner", b"\x00state")
    with Database(path) as database:
        items = database.kept.items(held_out=False)

        assert database.fact("learner") == b"\x00state"
        assert [OffsetRange("labelled", 0, 1, 4)] == database.ranges()
        assert items.ids == ["l-1", "l-2"]
        assert items.texts == ["Habitación 🌿"] * 2
        np.testing.assert_array_equal(items.features, [FEATURES, FEATURES])
        assert database.learned() == {"Private room": 1, "Hotel room": 1}
        assert (database.kept.holdout_size(), database.last_learned()) == (1, 2)
        assert [database.held_out(f"l-{n}") for n in (3, 1, 9)] == [True, False, None]
        assert {"e-1", "e-3"} == database.known(["e-1", "e-3", "e-9"])


def test_a_block_that_fails_writes_nothing(path: Path) -> None:
    """An error in the middle of a mini-batch takes all of it back."""
    with Database(path) as database:
        keep(database, label(1))
        with pytest.raises(RuntimeError):
            _half_a_batch(database)

        assert set() == database.known(["e-2"])
        assert [OffsetRange("labelled", 0, 1, 2)] == database.ranges()
        assert database.fact("learner") is None
        keep(database, label(2))
        assert {"e-2"} == database.known(["e-2"])


def _half_a_batch(database: Database) -> None:
    with database.transaction():
        database.add_label(label(2), False, None)
        database.advance("labelled", 0, 2, 3)
        database.remember("learner", b"half")
        raise RuntimeError


def test_a_killed_transaction_leaves_nothing(path: Path) -> None:
    """A process that dies before the commit has not written; the next one opens at once."""
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom trainer.database import Database\n"
        "database = Database(Path(sys.argv[1]))\n"
        "with database.transaction():\n"
        "    database.remember('learner', b'x' * 100_000)\n    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program, str(path)], timeout=60)
    with Database(path) as database:
        assert done.returncode == -9
        assert database.fact("learner") is None


def test_another_version_is_refused(path: Path) -> None:
    """A file of a newer roomstream is not touched, and can be opened by that one still."""
    with Database(path):
        pass
    with contextlib.closing(sqlite3.connect(path)) as sql:
        sql.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(ConfigurationError, match=f"version {VERSION + 1}.*TRAINER_DATABASE"):
        Database(path)


def test_a_file_that_is_no_database_is_damaged(path: Path) -> None:
    """Whatever stands in its place is named, and stays as it was."""
    path.write_bytes(b"this is a text" * 1_000)
    with pytest.raises(RoomstreamError, match=r"damaged.*Move it away.*newest snapshot") as caught:
        Database(path)

    assert caught.value.exit_code == ExitCode.FAILED
    assert path.read_bytes().startswith(b"this is a text")


def test_a_damaged_page_is_named_when_it_is_read(path: Path) -> None:
    """A file whose middle was overwritten says so instead of giving a traceback."""
    with Database(path) as database:
        keep(database, *(label(n, text="x" * 2_000) for n in range(200)))
    with path.open("r+b") as file:
        file.seek(128 * 1024)  # behind the schema
        file.write(os.urandom(path.stat().st_size - 256 * 1024))
    with Database(path) as database, pytest.raises(RoomstreamError, match=r"damaged"):
        database.kept.items(held_out=False)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    with tiny_disk(tmp_path / "disk", "1m") as folder:
        yield folder


def _fill(database: Database) -> Iterator[int]:
    """Keep mini-batches of two labels until the disk is full; how many labels there are so far."""
    number = 0
    while True:
        yield number
        keep(database, label(number, text="y" * 5_000), label(number + 1))
        number += 2


def test_a_full_disk_takes_the_mini_batch_back(small_disk: Path) -> None:
    """It says that the disk is full, to try again; whole batches stay, and go on with space."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 300_000)
    numbers: list[int] = []
    with Database(small_disk / "trainer.sqlite") as database:
        with pytest.raises(TryAgain, match=r"full.*nothing half-written"):
            numbers.extend(_fill(database))
        assert [f"l-{n}" for n in range(numbers[-1])] == database.kept.items(held_out=False).ids
    ballast.unlink()
    with Database(small_disk / "trainer.sqlite") as database:
        assert [f"l-{n}" for n in range(numbers[-1])] == database.kept.items(held_out=False).ids
        assert [OffsetRange("labelled", 0, 0, numbers[-1])] == database.ranges()
        keep(database, label(numbers[-1]))


def test_a_deleted_listing_leaves_its_count_only(path: Path) -> None:
    """Text, features and name go; that a label was learned stays, and its event stays known."""
    with Database(path) as database:
        keep(database, label(0), label(1, text="secret words"), label(2))
        with database.transaction():
            database.forget("l-1")

        assert database.kept.items(held_out=False).ids == ["l-0", "l-2"]
        assert database.held_out("l-1") is None
        assert database.learned() == {"Private room": 3}
        assert database.learned_and_deleted() == 1
        assert {"e-1"} == database.known(["e-1"])
    assert b"secret words" not in path.read_bytes()
    assert b"l-1" not in path.read_bytes()


def test_half_of_the_holdout_is_shared_out_among_the_classes(path: Path) -> None:
    """A rare class keeps its newest listings, though a hundred newer ones of another came."""
    with Database(path) as database:
        keep(database, *(label(number, "Hotel room") for number in range(5)), held_out=True)
        keep(database, *(label(number) for number in range(5, 105)), held_out=True)
        with database.transaction():
            database.kept.trim_holdout(12)
        held = database.kept.items(held_out=True)

    assert held.ids == ["l-2", "l-3", "l-4", *(f"l-{number}" for number in range(96, 105))]
    assert set(held.domains) == {"madrid"}


def test_labels_stand_for_the_listings_they_were_chosen_from(path: Path) -> None:
    """With a propensity of a quarter for four, without one for itself."""
    with Database(path) as database:
        keep(database, label(0, propensity=0.25), label(1, propensity=None))
        keep(database, label(2, "Hotel room", propensity=0.5))
        keep(database, label(3), held_out=True)

        assert sorted(database.seen()) == [
            ("Hotel room", 1, 2, 4),
            ("Private room", 2, 5, 17),
        ]


def test_predictions_are_counted_for_good(path: Path) -> None:
    """What was predicted for every label is known after a restart."""
    with Database(path) as database:
        keep(database, label(0), label(1), label(2, "Hotel room"))
    with Database(path) as database:
        assert sorted(database.tally()) == [
            (("Hotel room", None, "madrid"), 1),
            (("Private room", None, "madrid"), 2),
        ]


def test_the_newest_of_the_holdout_stay(path: Path) -> None:
    """The oldest go first, and the replay buffer is not touched."""
    with Database(path) as database:
        keep(database, *(label(number) for number in range(3)))
        keep(database, *(label(number) for number in range(3, 9)), held_out=True)
        with database.transaction():
            database.kept.trim_holdout(2)

        assert database.kept.items(held_out=True).ids == ["l-7", "l-8"]
        assert database.kept.listings() == [
            ("l-0", "Private room", "madrid"),
            ("l-1", "Private room", "madrid"),
            ("l-2", "Private room", "madrid"),
        ]


def test_the_last_announced_candidate_outlives_any_number_of_refusals(path: Path) -> None:
    """Else a trainer that was restarted after them would think that nothing is live."""
    with Database(path) as database, database.transaction():
        database.candidates.add(candidate(0), "announced", 7)
        database.candidates.add(candidate(1), "announced", 8)
        for number in range(2, 1_010):
            database.candidates.add(candidate(number), "refused", number)
        rows = database._rows("SELECT outcome, count(*) FROM candidates GROUP BY outcome")

        assert database.candidates.last_seq_announced() == 8
        assert dict(rows) == {"announced": 1, "refused": 1_000}


def candidate(number: int) -> Manifest:
    return Manifest(
        release=f"r-{number:05}",
        created_at=datetime(2026, 11, 24, tzinfo=UTC),
        labels=["a"],
        max_length=8,
        feature_dimensions=8,
        review_below=0.5,
        blobs={},
        base_model="tiny",
        learner="slda",
    )
