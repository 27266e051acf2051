"""A local folder of blobs in front of a store, so that a restart downloads nothing again."""

import contextlib
import os
from pathlib import Path

from artefacts.errors import DigestMismatch, StoreError
from artefacts.manifest import Blob
from artefacts.store import Store, check_blob, write_atomically

MOST_BYTES = 2 << 30
"""Some encoders, and hundreds of heads: a trainer makes a new one every few seconds."""


class BlobCache:
    """
    Blobs of one store by digest. Every read is checked; a damaged copy is fetched again.

    Args:
        store: Where they come from.
        folder: Where copies are kept.
        most_bytes: So much is kept; what was read longest ago goes first. One blob always stays.
    """

    def __init__(self, store: Store, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self._store = store
        self._folder = folder
        self._most_bytes = most_bytes

    def get(self, blob: Blob) -> bytes:
        """
        Read a blob from the folder, else from the store.

        Raises:
            ReleaseMissing: The store has no such blob.
            DigestMismatch: The store's bytes are not what was promised.
            StoreError: The store cannot be read, or the folder cannot be written.
        """
        path = self._folder / blob.digest[:2] / blob.digest
        try:
            data = path.read_bytes()
            check_blob(str(path), data, blob)
            self._note_use(path)
        except (OSError, DigestMismatch):
            data = self._store.get(blob)
            self._keep(path, data)
        return data

    def _keep(self, path: Path, data: bytes) -> None:
        try:
            write_atomically(path, data)
        except OSError as error:
            raise StoreError(
                f"Cannot write {path}: {error}. Free space or choose another folder with "
                "ROOMSTREAM_CACHE."
            ) from error
        self._make_room(path)

    def _note_use(self, path: Path) -> None:
        with contextlib.suppress(OSError):  # a folder that may only be read is good enough
            os.utime(path)

    def _make_room(self, newest: Path) -> None:
        """Remove copies beyond the limit; other processes share the folder, and fetch what they miss."""
        found = []
        for path in self._folder.glob("??/" + "?" * 64):
            with contextlib.suppress(OSError):
                state = path.stat()
                found.append((state.st_mtime, state.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self._most_bytes:
                return
            if path != newest:
                with contextlib.suppress(OSError):
                    path.unlink()
                total -= size
