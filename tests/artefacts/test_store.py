"""Every store keeps what is put, and tells what is missing, damaged or not its own."""

import json
import uuid
from pathlib import Path

import msgspec
import pytest

from artefacts.errors import DigestMismatch, ReleaseMissing, ReleaseRefused, StoreError
from artefacts.manifest import HEAD, ROLES, Blob, GateResult
from artefacts.store import Store
from tests.stores import PARTS, manifest_of, overwrite, overwrite_blob


class StoreBattery:
    """What every store must do."""

    @pytest.fixture
    def store(self) -> Store:
        """A new store of its kind."""
        raise NotImplementedError

    @pytest.mark.parametrize("data", [b"", b"\x00\xff" * 1_000, "Habitación 🌿".encode()])
    def test_bytes_come_back(self, store: Store, data: bytes) -> None:
        """What was put is found by its digest, in this process and in another."""
        blob = store.put(data)

        assert Blob.of(data) == blob
        assert data == store.get(blob) == Store(store.address).get(blob)

    def test_putting_twice_is_putting_once(self, store: Store) -> None:
        """The same bytes have the same place."""
        assert store.put(b"abc") == store.put(b"abc")

    def test_a_missing_blob_is_told(self, store: Store) -> None:
        """The message names the file, the store and the next step."""
        blob = Blob.of(b"abc")
        overwrite(store, "releases/r-1.json", b"{}")

        with pytest.raises(
            ReleaseMissing, match=f"{blob.digest} is not in the store {store.address}"
        ):
            store.get(blob)

    @pytest.mark.parametrize("damage", [b"abX", b"ab", b"", b"abcd"])
    def test_a_damaged_blob_is_told_and_mended(self, store: Store, damage: bytes) -> None:
        """A changed or shortened file is never returned; putting it again mends it, as advised."""
        blob = store.put(b"abc")
        overwrite_blob(store, blob, damage)

        with pytest.raises(DigestMismatch, match="publish the release again"):
            store.get(blob)
        store.put(b"abc")
        assert store.get(blob) == b"abc"

    def test_a_size_that_is_not_the_promised_one_is_told(self, store: Store) -> None:
        """Even where the digest is right: such a manifest is not ours."""
        blob = store.put(b"abc")

        with pytest.raises(DigestMismatch, match="has 3 bytes, the manifest says 4"):
            store.get(Blob(blob.digest, 4))

    def test_a_release_comes_back(self, store: Store) -> None:
        """Its manifest is found by id and checked against the digest that was announced."""
        manifest = manifest_of()
        digest = store.publish(manifest, PARTS.values())

        assert manifest == store.manifest("r-1", digest) == store.manifest("r-1")
        assert digest == manifest.digest() == store.manifest_digest("r-1")
        assert {role: store.get(blob) for role, blob in manifest.blobs.items()} == PARTS

    def test_an_empty_store_has_no_releases(self, store: Store) -> None:
        """A store that nobody has written to is empty, not broken."""
        assert store.releases() == []

    def test_releases_are_listed_by_time(self, store: Store) -> None:
        """Oldest first, in whatever order they arrived, and what is no manifest is left out."""
        for release in ("20261124T2", "20251231T9", "20261124T1"):
            store.publish(manifest_of(release), PARTS.values())
        overwrite(store, "releases/.20261124T3.json.5f.tmp", b"{")
        overwrite(store, "releases/notes.txt", b"")

        assert store.releases() == ["20251231T9", "20261124T1", "20261124T2"]

    def test_other_processes_see_a_new_release_at_once(self, store: Store) -> None:
        """No listing is remembered."""
        other = Store(store.address)
        assert other.releases() == []
        store.publish(manifest_of(), PARTS.values())

        assert other.releases() == ["r-1"]

    @pytest.mark.parametrize("damage", [None, b"short"])
    def test_a_release_without_its_blobs_is_not_published(
        self, store: Store, damage: bytes | None
    ) -> None:
        """A part that is not there, or not whole, keeps the manifest back."""
        for role in ROLES:
            if role != HEAD:
                store.put(PARTS[role])
        if damage is not None:
            overwrite_blob(store, Blob.of(PARTS[HEAD]), damage)

        with pytest.raises(ReleaseMissing, match=f"r-1 names {HEAD}.*Put the blob before"):
            store.publish(manifest_of())
        assert store.releases() == []

    def test_a_manifest_that_nobody_could_read_is_not_published(self, store: Store) -> None:
        """A figure that is not a number has no JSON: it is told here, not by every worker."""
        gate = GateResult("recall", passed=True, why="", figures={"loss": float("nan")})
        manifest = msgspec.structs.replace(manifest_of(), evaluation=[gate])

        with pytest.raises(ReleaseRefused, match="figures"):
            store.publish(manifest, PARTS.values())
        assert store.releases() == []

    def test_a_missing_release_is_told(self, store: Store) -> None:
        """The message names commands that help."""
        with pytest.raises(ReleaseMissing, match="roomstream releases list"):
            store.manifest("r-9")
        with pytest.raises(ReleaseMissing):
            store.manifest_digest("r-9")

    def test_another_manifest_than_announced_is_told(self, store: Store) -> None:
        """A release that was written over is not the one that was announced."""
        digest = store.publish(manifest_of(), PARTS.values())
        store.publish(msgspec.structs.replace(manifest_of(), learner="other"))

        with pytest.raises(DigestMismatch, match=r"r-1\.json: sha256 is"):
            store.manifest("r-1", digest)

    def test_the_manifest_of_another_release_is_refused(self, store: Store) -> None:
        """A copied file does not make two releases of one."""
        overwrite(store, "releases/r-2.json", manifest_of().encode())

        with pytest.raises(ReleaseRefused, match=r"r-2\.json is the manifest of r-1"):
            store.manifest("r-2")

    def test_a_release_of_a_newer_roomstream_can_be_announced(self, store: Store) -> None:
        """The digest is that of the stored bytes, though this version would write others."""
        fields = json.loads(manifest_of().encode()) | {"signature": "abc"}
        overwrite(store, "releases/r-1.json", json.dumps(fields).encode())
        digest = store.manifest_digest("r-1")

        assert digest != store.manifest("r-1").digest()
        assert manifest_of() == store.manifest("r-1", digest)

    def test_an_invalid_release_is_not_announced(self, store: Store) -> None:
        """Promoting garbage fails before anyone hears of it."""
        overwrite(store, "releases/r-1.json", b"{}")

        with pytest.raises(ReleaseRefused):
            store.manifest_digest("r-1")

    def test_a_channel_points_to_its_last_release(self, store: Store) -> None:
        """The note is written over, and channels do not mix."""
        for channel, release in [("live", "r-1"), ("shadow", "r-2"), ("live", "r-3")]:
            store.point(channel, release)

        assert [store.pointed("live"), store.pointed("shadow")] == ["r-3", "r-2"]

    def test_a_channel_without_a_release_is_told(self, store: Store) -> None:
        """Nothing was announced, or the note is garbage: in the end there is no such release."""
        with pytest.raises(ReleaseMissing):
            store.pointed("live")
        overwrite(store, "channels/live", b"\xff\xfe")
        with pytest.raises(ReleaseMissing):
            store.manifest(store.pointed("live"))

    def test_files_come_and_go_by_name(self, store: Store, tmp_path: Path) -> None:
        """What was put is found, listed and removed; a newer one takes its place."""
        source, target = tmp_path / "source", tmp_path / "new" / "target"
        for name, data in (("a/2", b"old"), ("a/1", b"\x00\xff" * 2_000_000), ("a/2", b"new")):
            source.write_bytes(data)
            store.put_file(name, source)
        names = store.names("a")
        store.get_file("a/1", target)
        large = target.read_bytes()
        store.get_file("a/2", target)
        store.remove("a/1")
        store.remove("a/1")

        assert names == ["1", "2"]
        assert (large, target.read_bytes()) == (b"\x00\xff" * 2_000_000, b"new")
        assert store.names("a") == ["2"]
        assert store.names("nowhere") == []

    def test_a_file_that_is_not_there_is_told(self, store: Store, tmp_path: Path) -> None:
        """Nothing half-copied remains."""
        with pytest.raises(StoreError, match=r"Cannot read .*a/1"):
            store.get_file("a/1", tmp_path / "target")

        assert list(tmp_path.glob("*target*")) == []


class TestFiles(StoreBattery):
    """A folder."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        """A folder that is not there yet, with a blank in its name."""
        return Store(f"file://{tmp_path / 'a store'}")

    def test_a_folder_that_is_none_is_told(self, tmp_path: Path) -> None:
        """A file where the store should be is a StoreError, for reading and writing."""
        (tmp_path / "store").write_bytes(b"")
        store = Store(f"file://{tmp_path / 'store'}")

        with pytest.raises(StoreError, match=r"Cannot write .*Check that the store"):
            store.put(b"abc")
        with pytest.raises(StoreError, match="Cannot read"):
            store.get(Blob.of(b"abc"))
        with pytest.raises(StoreError, match="Cannot write"):
            store.point("live", "r-1")
        with pytest.raises(StoreError, match="Cannot write"):
            store.put_file("a/1", Path(__file__))


class TestMemory(StoreBattery):
    """A store of this process."""

    @pytest.fixture
    def store(self) -> Store:
        """Another place in memory for each test."""
        return Store(f"memory://{uuid.uuid4().hex}")
