"""A local folder of blobs in front of a store, so that a restart downloads nothing again."""

from pathlib import Path

from artefacts.errors import DigestMismatch, StoreError
from artefacts.manifest import Blob
from artefacts.store import Store, check_blob, write_atomically


class BlobCache:
    """Blobs of one store by digest. Every read is checked; a damaged copy is fetched again."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._folder = folder

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
