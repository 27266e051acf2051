"""Which deleted listings a release had learned, from the releases that came after it."""

from collections.abc import Sequence

from artefacts.manifest import LabelOffsets, Manifest, OffsetRange
from artefacts.store import Store


def deleted_later(manifest: Manifest, store: Store) -> list[tuple[str, LabelOffsets]]:
    """
    Say what a release had learned of listings that were deleted after it was made.

    Returns:
        The first release without some labels, and these by their places, in the order of releases; it
        may be one that was removed from the store.

    Raises:
        ReleaseError: A later release cannot be read.
        StoreError: The store cannot be read.
    """
    there, removed = store.releases(), store.lineages()
    later = {name: store.lineage(name) for name in removed if name > manifest.release}
    later |= {name: store.manifest(name).lineage for name in there if name > manifest.release}
    return [
        (name, seen)
        for name, lineage in sorted(later.items())
        for part in lineage.deleted_since
        if (seen := _seen(part, manifest.lineage.ranges)).offsets
    ]


def place(part: LabelOffsets) -> str:
    """Name labels by their places, for people."""
    offsets = ", ".join(map(str, part.offsets))
    labels = "the label at offset" if len(part.offsets) == 1 else "the labels at offsets"
    return f"{labels} {offsets} of {part.topic}[{part.partition}]"


def _seen(part: LabelOffsets, ranges: Sequence[OffsetRange]) -> LabelOffsets:
    """Those of some labels whose places a release had handled."""
    known = [
        range(each.first, each.next)
        for each in ranges
        if (each.topic, each.partition) == (part.topic, part.partition)
    ]
    offsets = [offset for offset in part.offsets if any(offset in each for each in known)]
    return LabelOffsets(part.topic, part.partition, offsets)
