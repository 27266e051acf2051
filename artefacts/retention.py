"""Which releases a store keeps: a trainer makes thousands, and every head is a file of its own."""

from collections.abc import Collection

from artefacts.errors import ReleaseError
from artefacts.manifest import Manifest
from artefacts.store import Store


def prune(store: Store, keep: int, used: Collection[str]) -> list[str]:
    """
    Remove the oldest releases that a trainer made, with every blob that no other release names.

    Manifests go first: a crash in between leaves blobs that nobody names, never a release without its
    blobs. What was imported stays, and so does what cannot be read, which somebody has to look at.

    Args:
        store: Where they are.
        keep: How many of the newest stay.
        used: Releases that stay, and their parents, since a rollback goes there.

    Returns:
        The releases that were removed, oldest first.

    Raises:
        StoreError: The store cannot be read or written.
    """
    names = store.releases()
    if len(names) <= keep:
        return []
    manifests = _readable(store, names)
    parents = {manifests[name].parent for name in used if name in manifests}
    stay = {*names[-keep:], *used, *parents}
    gone = [
        name
        for name, manifest in manifests.items()
        if name not in stay and manifest.lineage.ranges  # a trainer made it
    ]
    named = {blob for name in manifests.keys() - gone for blob in manifests[name].blobs.values()}
    unnamed = {blob for name in gone for blob in manifests[name].blobs.values()} - named
    for name in gone:
        store.remove(f"releases/{name}.json")
    if len(manifests) == len(names):  # what cannot be read may name any blob
        for blob in unnamed:
            store.remove_blob(blob)
    return gone


def _readable(store: Store, names: Collection[str]) -> dict[str, Manifest]:
    found = {}
    for name in names:
        try:
            found[name] = store.manifest(name)
        except ReleaseError:
            continue
    return found
