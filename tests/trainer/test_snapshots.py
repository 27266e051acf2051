"""Snapshots: taken beside the learning, and begun with where they know more than the local file."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from artefacts.errors import StoreError
from artefacts.store import Store
from runtime.settings import SharedSettings
from schemas.errors import RoomstreamError
from tests.mounts import tiny_disk
from tests.releases import tiny_release
from tests.stores import overwrite
from tests.trainer.test_database import keep, label
from trainer.database import VERSION, Database
from trainer.metrics import TrainerMetrics
from trainer.settings import TrainerSettings
from trainer.snapshots import Snapshots

FOLDER = "snapshots/labelled"


class Machine:
    """A trainer's machine, as far as snapshots go."""

    def __init__(self, folder: Path, store: str) -> None:
        folder.mkdir(exist_ok=True)
        self.path = folder / "trainer.sqlite"
        self.shared = SharedSettings(store=store)
        self.store = Store(store)
        self.metrics = TrainerMetrics()
        self.settings = TrainerSettings(database=self.path, snapshot_every_seconds=0.001)
        self.epoch = 0

    def lead(self, epoch: int) -> Snapshots:
        """Take the lead; what a start does with the database."""
        self.snapshots = Snapshots(self.shared, self.settings, self.metrics, epoch)
        self.snapshots.restore()
        with Database(self.path) as database:
            database.led_under(epoch)
        return self.snapshots

    def learn(self, *numbers: int) -> None:
        """Learn labels."""
        with Database(self.path) as database:
            keep(database, *(label(number) for number in numbers))

    def snapshot(self) -> None:
        """As a clean stop does."""
        with Database(self.path) as database:
            self.snapshots.finish(database)

    def knows(self) -> set[str]:
        """The events that it learned."""
        with Database(self.path) as database:
            return {row[0] for row in database._rows("SELECT event_id FROM labels")}

    def names(self) -> list[str]:
        """The snapshots in the store."""
        return self.store.names(FOLDER)

    def counted(self, outcome: str) -> float | None:
        """How many snapshots ended so."""
        return self.metrics.registry.get_sample_value(
            "roomstream_trainer_snapshots_total", {"outcome": outcome}
        )


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder, or what behaves as an object store; a release was published there."""
    address = f"{request.param}://{tmp_path}/store"
    tiny_release(Store(address))
    return address


@pytest.fixture
def first(tmp_path: Path, store: str) -> Machine:
    return Machine(tmp_path / "first", store)


@pytest.fixture
def second(tmp_path: Path, store: str) -> Machine:
    return Machine(tmp_path / "second", store)


def test_another_machine_begins_where_the_snapshot_stands(first: Machine, second: Machine) -> None:
    """Labels and offsets come together."""
    first.lead(1)
    first.learn(1, 2)
    first.snapshot()
    first.learn(3)  # and is killed
    second.lead(2)
    with Database(second.path) as database:
        (part,) = database.ranges()

    assert second.knows() == {"e-1", "e-2"}
    assert (part.first, part.next) == (1, 3)


def test_back_and_forth(first: Machine, second: Machine) -> None:
    """An older local file gives way, and is kept once; a newer one stays."""
    first.lead(1)
    first.learn(1)
    first.snapshot()
    second.lead(2)
    second.learn(2)
    second.snapshot()
    first.learn(99)  # what it learned before it was killed, and nobody kept
    first.lead(3)
    back = first.knows()
    first.learn(3)  # and is killed before a snapshot
    first.lead(4)
    with closing(sqlite3.connect(first.path.with_name("trainer.sqlite.superseded"))) as sql:
        superseded = {row[0] for row in sql.execute("SELECT event_id FROM labels")}

    assert back == {"e-1", "e-2"}
    assert first.knows() == {"e-1", "e-2", "e-3"}
    assert superseded == {"e-1", "e-99"}


def test_what_a_superseded_trainer_still_writes_sorts_below(
    first: Machine, second: Machine
) -> None:
    """Its late snapshot is not begun with, and goes first."""
    first.lead(1)
    second.lead(2)
    second.learn(1)
    second.snapshot()
    second.learn(2)
    second.snapshot()
    first.learn(9)
    first.snapshot()

    assert [name[:10] for name in first.names()] == ["0000000002", "0000000002"]


def test_a_log_beside_the_local_file_is_not_taken_for_the_new_ones(
    first: Machine, second: Machine, tmp_path: Path
) -> None:
    """A killed trainer leaves a write-ahead log: what is in it stays with the superseded file."""
    first.lead(1)
    second.lead(2)
    second.learn(*range(50))
    second.snapshot()
    with closing(sqlite3.connect(first.path)) as reader, Database(first.path) as database:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM facts").fetchall()
        keep(database, label(7))
        copy = {p.name: p.read_bytes() for p in first.path.parent.glob("trainer.sqlite*")}
    for name, data in copy.items():
        (first.path.parent / name).write_bytes(data)
    assert "trainer.sqlite-wal" in copy
    first.lead(3)

    assert first.knows() == {f"e-{n}" for n in range(50)}


@pytest.mark.parametrize("damage", ["changed", "cut", "version"])
def test_a_damaged_snapshot_is_passed_over(
    first: Machine, second: Machine, damage: str, tmp_path: Path
) -> None:
    """The one before it is begun with."""
    first.lead(1)
    first.learn(1)
    first.snapshot()
    first.learn(2)
    if damage == "version":
        with closing(sqlite3.connect(first.path)) as sql:
            sql.execute(f"PRAGMA user_version = {VERSION + 1}")
        first.snapshots._take([])
    else:
        first.snapshot()
        name = first.names()[-1]
        first.store.get_file(f"{FOLDER}/{name}", tmp_path / "copy")
        whole = (tmp_path / "copy").read_bytes()
        broken = whole[:-100] if damage == "cut" else whole[:5_000] + b"x" + whole[5_001:]
        overwrite(first.store, f"{FOLDER}/{name}", broken)
    second.lead(2)

    assert second.knows() == {"e-1"}
    assert second.counted("damaged") == 1
    assert {p.name for p in second.path.parent.iterdir()} == {"trainer.sqlite"}


def test_the_newest_two_are_kept(first: Machine) -> None:
    """Older ones go, and so does what a killed trainer left half-written."""
    first.lead(1)
    overwrite(first.store, f"{FOLDER}/.0000000001-0000000000001-x.sqlite.abc.tmp", b"half")
    overwrite(first.store, f"{FOLDER}/read.me", b"not ours")
    for number in range(4):
        first.learn(number)
        first.snapshot()

    assert len(first.names()) == 3
    assert "read.me" in first.names()
    assert first.counted("kept") == 4


def test_nothing_new_is_no_new_snapshot(first: Machine) -> None:
    """A stop right after a snapshot takes no other."""
    first.lead(1)
    first.snapshot()
    first.learn(1)
    first.snapshot()
    first.snapshot()

    assert len(first.names()) == 1


def test_a_deleted_listing_is_in_no_snapshot(first: Machine, second: Machine) -> None:
    """The first one after a deletion is the only one and knows of it; the superseded file goes too."""
    first.lead(1)
    for number in (1, 2):
        first.learn(number)
        first.snapshot()
    superseded = first.path.with_name("trainer.sqlite.superseded")
    superseded.write_bytes(b"text of a listing")
    with Database(first.path) as database, database.transaction():
        database.forget("l-1")
        database.tombstones.put("l-1", label(1).labelled_at)
        database.advance("deletions", 0, 5, 6)
    first.snapshot()
    after = len(first.names())
    first.learn(3)
    first.snapshot()
    second.lead(2)
    with Database(second.path) as database:
        covered = [database.tombstones.cover(f"l-{n}", label(n).labelled_at) for n in (1, 2)]

    assert (after, len(first.names())) == (1, 2)
    assert not superseded.exists()
    assert covered == [True, False]


def test_a_store_out_of_reach_is_tried_again_later(tmp_path: Path) -> None:
    """It is told and counted, and ends nothing; with the store back the snapshot comes."""
    first = Machine(tmp_path / "first", f"file://{tmp_path}/store")
    first.settings = TrainerSettings(database=first.path, snapshot_every_seconds=60)
    tiny_release(first.store)
    first.lead(1)
    (tmp_path / "store").rename(tmp_path / "away")  # as a disk that is not mounted
    first.learn(1)
    first.snapshot()
    failed, made = first.counted("failed"), (tmp_path / "store").exists()
    with Database(first.path) as database:
        first.snapshots.step(database)  # not yet time
    (tmp_path / "away").rename(tmp_path / "store")
    first.snapshot()

    assert failed == first.counted("failed") == 1
    assert not made
    assert len(first.names()) == 1
    assert not first.path.with_name("trainer.sqlite.snapshot").exists()


def test_without_the_store_nobody_begins(tmp_path: Path) -> None:
    """Where the newest snapshot cannot be known, the process tries again."""
    (tmp_path / "store").touch()

    with pytest.raises(StoreError):
        Machine(tmp_path / "first", f"file://{tmp_path}/store").lead(1)


def test_a_damaged_local_file_is_told(first: Machine) -> None:
    """It is not overwritten: a person decides."""
    first.path.write_bytes(b"no database " * 1_000)

    with pytest.raises(RoomstreamError, match="Move it away"):
        first.lead(1)


def test_no_space_for_the_copy_ends_nothing(tmp_path: Path) -> None:
    """The copy needs room beside the database: without it there is no snapshot, and learning goes on."""
    with tiny_disk(tmp_path / "disk", "1m") as disk:
        first = Machine(disk / "first", f"file://{tmp_path}/store")
        tiny_release(first.store)
        first.lead(1)
        with Database(first.path) as database:
            keep(database, *(label(n, text="x" * 1_500) for n in range(150)))
        (disk / "ballast").write_bytes(b"x" * 500_000)
        first.snapshot()
        failed, left = first.counted("failed"), {p.name for p in first.path.parent.iterdir()}
        (disk / "ballast").unlink()
        first.learn(1_000)
        first.snapshot()

    assert failed == 1
    assert left == {"trainer.sqlite"}
    assert len(first.names()) == 1


def test_no_space_in_the_store_leaves_the_last_one(tmp_path: Path) -> None:
    """What is there stays valid and nothing half-written remains."""
    with tiny_disk(tmp_path / "disk", "1m") as disk:
        first = Machine(tmp_path / "first", f"file://{disk}")
        tiny_release(first.store)
        first.lead(1)
        first.learn(1)
        first.snapshot()
        before = first.names()
        with Database(first.path) as database:
            keep(database, *(label(n, text="x" * 1_500) for n in range(10, 700)))
        first.snapshot()
        second = Machine(tmp_path / "second", f"file://{disk}")
        second.lead(2)

        assert before == first.names()
    assert first.counted("failed") == 1
    assert second.knows() == {"e-1"}


def test_learning_goes_on_beside_a_snapshot(first: Machine) -> None:
    """A copy is of one moment, however many labels arrive while it is made."""
    first.lead(1)
    learned = threading.Event()

    def learn() -> None:
        with Database(first.path) as database:
            for number in range(300):
                keep(database, label(number))
        learned.set()

    thread = threading.Thread(target=learn)
    thread.start()
    while not learned.is_set():
        first.snapshots._take([])
    thread.join()
    first.snapshot()
    copies = []
    for name in first.names():
        target = first.path.with_name("copy")
        first.store.get_file(f"{FOLDER}/{name}", target)
        with closing(sqlite3.connect(target)) as sql:
            (count,) = sql.execute("SELECT count(*) FROM labels").fetchone()
            (following,) = sql.execute("SELECT next FROM offsets").fetchone()
        copies.append((count, following))

    assert all(count == following for count, following in copies)
    assert copies[-1] == (300, 300)
