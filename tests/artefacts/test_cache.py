"""The cache downloads a blob once, and never returns one that is damaged."""

import os
import uuid
from pathlib import Path

import pytest

from artefacts.cache import BlobCache
from artefacts.errors import DigestMismatch, ReleaseMissing, StoreError
from artefacts.manifest import Blob
from artefacts.store import Store
from tests.stores import overwrite_blob

DATA = b"the head of a release" * 100


@pytest.fixture
def store() -> Store:
    return Store(f"memory://{uuid.uuid4().hex}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "blobs"


def copies(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_blob_is_fetched_once(store: Store, folder: Path) -> None:
    """Even after a restart, and with the store out of reach, a copy is enough."""
    blob = store.put(DATA)
    assert BlobCache(store, folder).get(blob) == DATA
    elsewhere = Store(f"memory://{uuid.uuid4().hex}")

    assert BlobCache(elsewhere, folder).get(blob) == DATA
    assert [blob.digest] == [path.name for path in copies(folder)]


@pytest.mark.parametrize("damage", [b"", DATA[:-1], DATA[:-1] + b"X"])
def test_a_damaged_copy_is_fetched_again(store: Store, folder: Path, damage: bytes) -> None:
    """A copy that was cut short or changed is neither returned nor kept."""
    blob = store.put(DATA)
    cache = BlobCache(store, folder)
    cache.get(blob)
    (copy,) = copies(folder)
    copy.write_bytes(damage)

    assert cache.get(blob) == DATA == copy.read_bytes()


def test_a_damaged_blob_of_the_store_is_not_kept(store: Store, folder: Path) -> None:
    """What does not have its digest never gets into the folder."""
    blob = store.put(DATA)
    overwrite_blob(store, blob, b"other")

    with pytest.raises(DigestMismatch):
        BlobCache(store, folder).get(blob)
    assert copies(folder) == []


def test_a_missing_blob_is_told(store: Store, folder: Path) -> None:
    """A release that names a blob of nobody cannot be served."""
    with pytest.raises(ReleaseMissing):
        BlobCache(store, folder).get(Blob.of(DATA))
    assert copies(folder) == []


def test_a_folder_that_cannot_be_written_is_told(store: Store, tmp_path: Path) -> None:
    """The next step is another folder."""
    blob = store.put(DATA)
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(StoreError, match=r"Cannot write .*file.*ROOMSTREAM_CACHE"):
        BlobCache(store, tmp_path / "file").get(blob)


def test_two_processes_share_a_folder(store: Store, folder: Path) -> None:
    """Workers of one machine use each other's copies, and leave nothing else behind."""
    blobs = [store.put(DATA + bytes([number])) for number in range(5)]
    first, second = BlobCache(store, folder), BlobCache(store, folder)

    assert [first.get(blob) for blob in blobs] == [second.get(blob) for blob in blobs]
    assert {blob.digest for blob in blobs} == {path.name for path in copies(folder)}


def test_what_was_read_longest_ago_goes_first(store: Store, folder: Path) -> None:
    """The copies stay under the limit; the newest stays even if it alone is over it."""
    blobs = [store.put(bytes([number]) * 100) for number in range(4)]
    cache = BlobCache(store, folder, most_bytes=250)
    for age, blob in enumerate(blobs[:2]):
        cache.get(blob)
        os.utime(folder / blob.digest[:2] / blob.digest, (age, age))
    (folder / "somebody-elses").write_text("not a copy")
    cache.get(blobs[0])  # now the other one is older
    cache.get(blobs[2])
    large = store.put(b"x" * 300)

    assert {path.name for path in copies(folder)} == {
        blobs[0].digest,
        blobs[2].digest,
        "somebody-elses",
    }
    assert BlobCache(store, folder, most_bytes=250).get(large) == b"x" * 300
    assert {path.name for path in copies(folder)} == {large.digest, "somebody-elses"}
