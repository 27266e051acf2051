"""Which releases a store keeps: a trainer makes thousands, and every head is a file of its own."""

from collections.abc import Collection

from artefacts.errors import ReleaseError
from artefacts.manifest import Manifest
from artefacts.store import Store


def prune(store: Store, made: Collection[str], keep: int, used: Collection[str]) -> list[str]:
    """
    Remove the oldest releases of one trainer, with every blob that no other release names.

    Manifests go first: a crash in between leaves blobs that nobody names, never a release without its
    blobs. What others made or imported stays, since deployments may share a store, and so does what
    cannot be read, which somebody has to look at. What a release tells of deleted listings stays as long
    as an older one that may have learned them.

    Args:
        store: Where they are.
        made: The releases of the trainer, whether they are there still or not.
        keep: How many of the newest of them stay.
        used: Releases that stay, and their parents, since a rollback goes there.

    Returns:
        The releases that were removed, oldest first.

    Raises:
        StoreError: The store cannot be read or written.
    """
    names = store.releases()
    ours = [name for name in names if name in made]
    if len(ours) <= keep:
        return []
    manifests = _readable(store, names)
    parents = {manifests[name].parent for name in used if name in manifests}
    stay = {*ours[-keep:], *used, *parents}
    gone = [name for name in ours if name in manifests and name not in stay]
    left = [manifests[name] for name in manifests.keys() - gone]
    named = {blob for manifest in left for blob in manifest.blobs.values()}
    unnamed = {blob for name in gone for blob in manifests[name].blobs.values()} - named
    for name in gone:
        if manifests[name].lineage.deleted_since:
            store.keep_lineage(manifests[name])
        store.remove(f"releases/{name}.json")
    learned = [manifest.release for manifest in left if manifest.lineage.ranges]
    for name in store.lineages():
        if min(learned, default=name) >= name:
            store.remove(f"lineage/{name}.json")
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
