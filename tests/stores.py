"""Releases that no test loads, and damage behind a store's back."""

import fsspec

from artefacts.manifest import ROLES, Blob, Manifest
from artefacts.store import Store
from tests.strategies import NOON

PARTS = {role: role.encode() * 100 for role in ROLES}


def manifest_of(release: str = "r-1") -> Manifest:
    """A manifest of three parts that no test loads."""
    return Manifest(
        release=release,
        created_at=NOON,
        labels=["Private room"],
        max_length=16,
        feature_dimensions=8,
        review_below=0.6,
        blobs={role: Blob.of(data) for role, data in PARTS.items()},
        base_model="none",
        learner="none",
    )


def overwrite(store: Store, path: str, data: bytes) -> None:
    """Change a file of a store behind its back."""
    files, root = fsspec.core.url_to_fs(store.address)
    files.makedirs(f"{root}/{path}".rpartition("/")[0], exist_ok=True)
    files.pipe_file(f"{root}/{path}", data)


def overwrite_blob(store: Store, blob: Blob, data: bytes) -> None:
    """Change a blob of a store behind its back."""
    overwrite(store, f"blobs/sha256/{blob.digest[:2]}/{blob.digest}", data)
