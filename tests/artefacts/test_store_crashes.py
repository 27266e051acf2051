"""Whatever happens to a disk or a process, a store holds whole releases only."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from artefacts.errors import StoreError
from artefacts.manifest import Blob
from artefacts.store import Store
from tests.mounts import tiny_disk
from tests.stores import PARTS, manifest_of

KILLS = 8
NOBODY = 65534

PUBLISHER = """
import itertools, os, sys
from datetime import UTC, datetime
from artefacts.manifest import ROLES, Blob, Manifest
from artefacts.store import Store

store = Store(sys.argv[1])
for number in itertools.count(int(sys.argv[2])):
    parts = {role: os.urandom(200_000) for role in ROLES}
    store.publish(
        Manifest(
            release=f"r-{number:09}",
            created_at=datetime.now(UTC),
            labels=["Private room"],
            max_length=16,
            feature_dimensions=8,
            review_below=0.6,
            blobs={role: Blob.of(data) for role, data in parts.items()},
            base_model="none",
            learner="none",
        ),
        parts.values(),
    )
    print(number, flush=True)
"""


def whole_releases(store: Store) -> list[str]:
    """The ids of all releases, after reading every manifest and blob of them."""
    found = store.releases()
    for release in found:
        manifest = store.manifest(release)
        for blob in manifest.blobs.values():
            store.get(blob)
    return found


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    with tiny_disk(tmp_path / "disk", "64k") as folder:
        yield folder


@pytest.fixture
def as_nobody(tmp_path: Path) -> Iterator[None]:
    """Run a test as a user whom a test's folder does not belong to."""
    tmp_path.chmod(0o500)
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)
        tmp_path.chmod(0o700)


def test_a_full_disk_is_told_and_leaves_nothing(small_disk: Path) -> None:
    """A blob that does not fit is not there at all, and the next step is to free space."""
    store = Store(f"file://{small_disk}/store")
    small = store.put(b"small")

    with pytest.raises(StoreError, match="The disk is full: free some space"):
        store.put(os.urandom(100_000))
    assert [small.digest] == [path.name for path in files_in(small_disk)]
    assert store.get(small) == b"small"


def test_a_release_that_does_not_fit_is_not_visible(small_disk: Path) -> None:
    """When only the manifest is too much for the disk, no release appears until there is space."""
    store = Store(f"file://{small_disk}/store")
    for data in PARTS.values():
        store.put(data)
    filler = small_disk / "filler"
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    filler.write_bytes(bytes(free))

    with pytest.raises(StoreError, match="what is there already stays valid"):
        store.publish(manifest_of())
    assert store.releases() == []
    filler.unlink()
    store.publish(manifest_of())
    assert whole_releases(store) == ["r-1"]


@pytest.mark.usefixtures("as_nobody")
def test_a_folder_of_somebody_else_is_told(tmp_path: Path) -> None:
    """Without permission the next step is to ask for it, or to go elsewhere."""
    store = Store(f"file://{tmp_path}/store")

    with pytest.raises(StoreError, match=r"Permission denied.*Give this user access"):
        store.put(b"abc")
    with pytest.raises(StoreError, match="Give this user access"):
        store.point("live", "r-1")


def test_killed_publishers_leave_only_whole_releases(tmp_path: Path) -> None:
    """A process that is killed again and again while it publishes leaves no half release."""
    store = Store(f"file://{tmp_path}/store")
    confirmed: list[str] = []
    chance = random.Random(7)
    for _ in range(KILLS):
        start = len(store.releases()) + len(confirmed) + 1
        confirmed += _publish_until_killed(store, start, chance.uniform(0, 0.1))
        found = whole_releases(store)

        assert set(confirmed) <= set(found)
    assert len(confirmed) >= KILLS


def _publish_until_killed(store: Store, start: int, seconds: float) -> list[str]:
    """Publish releases in another process, kill it, and return what it says that it published."""
    process = subprocess.Popen(
        [sys.executable, "-c", PUBLISHER, store.address, str(start)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL
    return [f"r-{int(line):09}" for line in (first + rest).splitlines()]


def test_writers_and_readers_do_not_disturb_each_other(tmp_path: Path) -> None:
    """Many at once write the same parts, each its own release; readers never see half a file."""
    address = f"file://{tmp_path}/store"

    def publish(number: int) -> None:
        store = Store(address)
        store.publish(manifest_of(f"r-{number:03}"), PARTS.values())
        store.point("live", f"r-{number:03}")

    def read(_: int) -> None:
        whole_releases(Store(address))

    with ThreadPoolExecutor(8) as pool:
        publishing = pool.map(publish, range(40))
        reading = pool.map(read, range(40))
        assert [*publishing, *reading] == [None] * 80

    store = Store(address)
    assert [f"r-{number:03}" for number in range(40)] == whole_releases(store)
    assert store.pointed("live") in store.releases()
    expected = {Blob.of(data).digest for data in PARTS.values()}
    assert expected == {path.name for path in files_in(tmp_path / "store" / "blobs")}
