"""
The content-addressed store of releases.

`blobs/sha256/ab/abcd…` holds files by their digest, `releases/<id>.json` manifests, `channels/live` the
id of the release that was announced last, `lineage/<id>.json` what a release that was removed told of
deleted listings; beside them the trainer keeps its snapshots. Blobs are written first, the manifest last,
and each appears whole or not at all: a crash leaves no half release.
"""

import contextlib
import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import fsspec
import msgspec
from fsspec.implementations.local import LocalFileSystem

from artefacts.errors import DigestMismatch, ReleaseMissing, ReleaseRefused, StoreError
from artefacts.manifest import Blob, Lineage, Manifest, decode_manifest
from schemas.errors import ConfigurationError

_COPY_BYTES = 1 << 20
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}


class Store:
    """
    A store by its address: `file:///folder`, `s3://bucket/path`, `gs://bucket/path`, `memory://x`.

    Raises:
        ConfigurationError: The address is not one, or its file system is not installed.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        try:
            if "://" not in address:
                raise ValueError("it has no scheme")
            self._files, self._root = fsspec.core.url_to_fs(address)
        except ImportError as error:
            extra = _EXTRAS.get(address.partition("://")[0])
            step = f"Run pip install 'roomstream[{extra}]'." if extra else "Install it with pip."
            raise ConfigurationError(
                f"Store {address} needs a package that is not installed ({error}). {step}"
            ) from error
        except (ValueError, OSError) as error:
            raise ConfigurationError(
                f"Store {address!r} is not an address: {error}. "
                "Use file:///folder, s3://bucket/path or gs://bucket/path."
            ) from error
        self._local = isinstance(self._files, LocalFileSystem)

    def put(self, data: bytes) -> Blob:
        """
        Keep these bytes; those that are there already, undamaged, are not written again.

        Raises:
            StoreError: The store cannot be written.
        """
        blob = Blob.of(data)
        path = self._blob_path(blob)
        with self._translated("write", path):
            if not self._kept(path, data):
                self._write(path, data)
        return blob

    def get(self, blob: Blob) -> bytes:
        """
        Read a blob and check its size and digest.

        Raises:
            ReleaseMissing: There is none.
            DigestMismatch: The bytes are not those that were promised.
            StoreError: The store cannot be read.
        """
        path = self._blob_path(blob)
        data = self._read(path, announced=True)
        check_blob(path, data, blob)
        return data

    def publish(self, manifest: Manifest, blobs: Iterable[bytes] = ()) -> str:
        """
        Keep the blobs, then the manifest that names them.

        Returns:
            The digest of the manifest, for its announcement.

        Raises:
            ReleaseMissing: The manifest names a blob that is not in the store.
            ReleaseRefused: No worker could read this manifest, such as for a figure that is not finite.
            StoreError: The store cannot be written; nothing half-written remains visible.
        """
        encoded = manifest.encode()
        decode_manifest(encoded)
        for data in blobs:
            self.put(data)
        for role, blob in manifest.blobs.items():
            path = self._blob_path(blob)
            with self._translated("read", path):
                whole = self._whole(path, blob)
            if not whole:
                raise ReleaseMissing(
                    f"Release {manifest.release} names {role} {blob.digest[:12]}…, which is not in "
                    f"{self.address}. Put the blob before its manifest."
                )
        path = self._manifest_path(manifest.release)
        with self._translated("write", path):
            self._write(path, encoded)
        return manifest.digest()

    def manifest(self, release: str, digest: str | None = None) -> Manifest:
        """
        Read a manifest, and check it against the digest that was announced, if given.

        Raises:
            ReleaseMissing: The store has no such release.
            DigestMismatch: It is not the manifest that was announced.
            ReleaseRefused: It is not valid, or that of another release.
            StoreError: The store cannot be read.
        """
        path = self._manifest_path(release)
        data = self._read(path, announced=digest is not None)
        if digest is not None:
            check_digest(path, data, digest)
        manifest = decode_manifest(data)
        if manifest.release != release:
            raise ReleaseRefused(f"{path} is the manifest of {manifest.release}. Publish it again.")
        return manifest

    def manifest_digest(self, release: str) -> str:
        """
        The digest of a valid manifest, for its announcement: that of the bytes in the store.

        What another version of roomstream wrote may come out differently when it is encoded again.

        Raises:
            ReleaseError: The store has no such release, or its manifest is not valid.
            StoreError: The store cannot be read.
        """
        digest = Blob.of(self._read(self._manifest_path(release))).digest
        self.manifest(release, digest)
        return digest

    def require(self) -> None:
        """
        Check that releases were published here once: a disk that is not mounted looks like a new store.

        Raises:
            StoreError: None was.
        """
        if self._local and not Path(self._root, "releases").is_dir():
            raise StoreError(
                f"The store {self.address} holds no releases, though one of it was announced. Check "
                "that its disk is mounted on this machine, and that the address is right here too."
            )

    def releases(self) -> list[str]:
        """
        The ids of all releases, oldest first.

        Raises:
            StoreError: The store cannot be read.
        """
        return self._documents("releases")

    def keep_lineage(self, manifest: Manifest) -> None:
        """
        Keep the lineage of a release that is to be removed.

        Raises:
            StoreError: The store cannot be written.
        """
        path = f"{self._root}/lineage/{manifest.release}.json"
        with self._translated("write", path):
            self._write(path, msgspec.json.encode(manifest.lineage))

    def lineages(self) -> list[str]:
        """
        The ids of the releases whose lineage was kept, oldest first.

        Raises:
            StoreError: The store cannot be read.
        """
        return self._documents("lineage")

    def lineage(self, release: str) -> Lineage:
        """
        The lineage that was kept of a release.

        Raises:
            ReleaseMissing: None was kept.
            ReleaseRefused: It is not valid.
            StoreError: The store cannot be read.
        """
        path = f"{self._root}/lineage/{release}.json"
        try:
            return msgspec.json.decode(self._read(path), type=Lineage)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ReleaseRefused(
                f"{path} cannot be read: {error}. It told which listings were deleted by then; take it "
                "from a backup, or remove it."
            ) from error

    def names(self, folder: str) -> list[str]:
        """
        The names of the files in a folder of the store, sorted; none if it is not there.

        Raises:
            StoreError: The store cannot be read.
        """
        path = f"{self._root}/{folder}"
        with self._translated("list", path):
            try:
                return sorted(str(found).rsplit("/", 1)[-1] for found in self._list(path))
            except FileNotFoundError:
                return []

    def put_file(self, name: str, source: Path) -> None:
        """
        Keep a file under a name, such as `snapshots/x`; it appears whole or not at all.

        Raises:
            StoreError: The store cannot be written.
        """
        path = f"{self._root}/{name}"
        with self._translated("write", path):
            if self._local:
                with source.open("rb") as file, written_atomically(Path(path)) as target:
                    shutil.copyfileobj(file, target, _COPY_BYTES)
            else:
                self._files.put_file(str(source), path)

    def get_file(self, name: str, target: Path) -> None:
        """
        Copy a file out of the store.

        Raises:
            StoreError: It is not there, or the store cannot be read.
        """
        path = f"{self._root}/{name}"
        with (
            self._translated("read", path),
            self._files.open(path, "rb") as file,
            written_atomically(target) as out,
        ):
            shutil.copyfileobj(file, out, _COPY_BYTES)

    def remove(self, name: str) -> None:
        """
        Remove a file, if it is there.

        Raises:
            StoreError: The store cannot be written.
        """
        path = f"{self._root}/{name}"
        with self._translated("remove", path), contextlib.suppress(FileNotFoundError):
            self._files.rm_file(path)

    def remove_blob(self, blob: Blob) -> None:
        """
        Remove a blob that no manifest names, if it is there.

        Raises:
            StoreError: The store cannot be written.
        """
        self.remove(self._blob_path(blob).removeprefix(f"{self._root}/"))

    def point(self, channel: str, release: str) -> None:
        """
        Note which release serves on a channel, for tools that do not read Kafka.

        The announcements on Kafka are the truth; this note follows them.

        Raises:
            StoreError: The store cannot be written.
        """
        path = self._channel_path(channel)
        with self._translated("write", path):
            self._write(path, f"{release}\n".encode())

    def pointed(self, channel: str) -> str:
        """
        The release that was last noted for a channel.

        Raises:
            ReleaseMissing: None was.
            StoreError: The store cannot be read.
        """
        return self._read(self._channel_path(channel)).decode("utf-8", "replace").strip()

    def try_out(self) -> None:
        """
        Write, read and delete a small object.

        Raises:
            StoreError: One of them fails.
        """
        path, data = f"{self._root}/trials/{uuid.uuid4().hex}", b"roomstream"
        with self._translated("write", path):
            self._write(path, data)
        try:
            with self._translated("read", path):
                if self._files.cat_file(path) != data:
                    raise OSError("it is not what was written")
        finally:
            with self._translated("delete", path):
                self._files.rm_file(path)

    def _documents(self, folder: str) -> list[str]:
        return [name.removesuffix(".json") for name in self.names(folder) if _is_document(name)]

    def _list(self, folder: str) -> list[str]:
        self._files.invalidate_cache()
        return list(self._files.ls(folder, detail=False))

    def _blob_path(self, blob: Blob) -> str:
        return f"{self._root}/blobs/sha256/{blob.digest[:2]}/{blob.digest}"

    def _channel_path(self, channel: str) -> str:
        return f"{self._root}/channels/{channel}"

    def _manifest_path(self, release: str) -> str:
        return f"{self._root}/releases/{release}.json"

    def _kept(self, path: str, data: bytes) -> bool:
        try:
            kept: bytes = self._files.cat_file(path)
        except FileNotFoundError:
            return False
        return kept == data

    def _whole(self, path: str, blob: Blob) -> bool:
        self._files.invalidate_cache()
        try:
            found: int = self._files.info(path)["size"]
        except FileNotFoundError:
            return False
        return found == blob.size_bytes

    def _read(self, path: str, announced: bool = False) -> bytes:
        with self._translated("read", path):
            try:
                data: bytes = self._files.cat_file(path)
            except FileNotFoundError as error:
                if announced:
                    self.require()
                raise ReleaseMissing(
                    f"{path} is not in the store {self.address}. Choose one of 'roomstream releases "
                    "list', or make a release with 'roomstream base import'."
                ) from error
        return data

    def _write(self, path: str, data: bytes) -> None:
        if self._local:
            write_atomically(Path(path), data)
        else:  # a put to an object store appears whole or not at all
            self._files.pipe_file(path, data)

    @contextlib.contextmanager
    def _translated(self, verb: str, path: str) -> Iterator[None]:
        """Turn whatever a file system raises into a StoreError, in this one place."""
        try:
            yield
        except (ReleaseMissing, StoreError):
            raise
        except Exception as error:
            raise StoreError(
                f"Cannot {verb} {path} in the store {self.address}: {error}. {_next_step(error)}"
            ) from error


def check_blob(name: str, data: bytes, blob: Blob) -> None:
    """
    Compare bytes with the size and the SHA-256 that a manifest promises.

    Raises:
        DigestMismatch: They differ.
    """
    check_digest(name, data, blob.digest)
    if len(data) != blob.size_bytes:
        raise DigestMismatch(
            f"{name}: has {len(data)} bytes, the manifest says {blob.size_bytes}. The manifest was not "
            "written by roomstream; publish the release again or roll back with 'roomstream releases "
            "rollback'."
        )


def check_digest(name: str, data: bytes, digest: str) -> None:
    """
    Compare bytes with the SHA-256 that was promised.

    Raises:
        DigestMismatch: They differ.
    """
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise DigestMismatch(
            f"{name}: sha256 is {found[:12]}…, promised was {digest[:12]}…. The file was changed or "
            "cut short; publish the release again or roll back with 'roomstream releases rollback'."
        )


def new_release_id(created_at: datetime, head: Blob) -> str:
    """Name a release by time and head, so that ids sort by time: `20261124T040140.123Z-3f2a9c1b`."""
    moment = created_at.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3]
    return f"{moment}Z-{head.digest[:8]}"


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that it appears whole and survives a power cut, or not at all."""
    with written_atomically(path) as file:
        file.write(data)


@contextlib.contextmanager
def written_atomically(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write; at the end of the block it appears whole, or after an error not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Let what was renamed in a folder survive a power cut."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _is_document(name: str) -> bool:
    return name.endswith(".json") and not name.startswith(".")


def _next_step(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full: free some space; what is there already stays valid."
    if isinstance(error, PermissionError):
        return "Give this user access to it, or choose another store with ROOMSTREAM_STORE."
    return "Check that the store can be reached and that its credentials are right."
