"""What a release had learned of listings that were deleted after it."""

from pathlib import Path

import msgspec

from artefacts.manifest import LabelOffsets, Lineage, Manifest, OffsetRange
from artefacts.store import Store
from roomstream.lineage import deleted_later, place
from tests.releases import tiny_release


def release(store: Store, name: str, lineage: Lineage) -> Manifest:
    manifest = msgspec.structs.replace(tiny_release(store), release=name, lineage=lineage)
    store.publish(manifest)
    return manifest


def test_a_release_had_seen_what_a_later_one_is_without(tmp_path: Path) -> None:
    """Only what stood at places that it had handled, and only of releases after it."""
    store = Store(f"file://{tmp_path / 'store'}")
    gone = [LabelOffsets("labelled", 0, [3, 12]), LabelOffsets("labelled", 1, [3])]
    handled = Lineage(ranges=[OffsetRange("labelled", 0, 0, 10)])
    first = release(store, "9-first", handled)
    second = release(store, "9-second", msgspec.structs.replace(handled, deleted_since=gone))

    assert deleted_later(first, store) == [("9-second", LabelOffsets("labelled", 0, [3]))]
    assert deleted_later(second, store) == []


def test_places_are_named_for_people() -> None:
    """One label or several of a partition."""
    assert place(LabelOffsets("labelled", 0, [3])) == "the label at offset 3 of labelled[0]"
    assert (
        place(LabelOffsets("labelled", 2, [3, 12])) == "the labels at offsets 3, 12 of labelled[2]"
    )
