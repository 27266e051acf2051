"""What a release had learned of listings that were deleted after it."""

from pathlib import Path

import msgspec
import pytest

from artefacts.errors import ReleaseRefused
from artefacts.manifest import LabelOffsets, Lineage, Manifest, OffsetRange
from artefacts.retention import prune
from artefacts.store import Store
from roomstream.lineage import deleted_later, place
from tests.releases import tiny_release
from tests.stores import overwrite


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


def test_it_is_told_though_the_release_that_told_it_was_removed(tmp_path: Path) -> None:
    """As long as one is there that had learned; killed before it was removed, it tells it once."""
    store = Store(f"file://{tmp_path / 'store'}")
    handled = Lineage(ranges=[OffsetRange("labelled", 0, 0, 10)])
    gone = [[LabelOffsets("labelled", 0, [offset])] for offset in (3, 4)]
    old = release(store, "9-a", handled)
    release(store, "9-b", msgspec.structs.replace(handled, deleted_since=gone[0]))
    release(store, "9-c", handled)
    newest = release(store, "9-d", msgspec.structs.replace(handled, deleted_since=gone[1]))
    told = deleted_later(old, store)
    store.keep_lineage(store.manifest("9-b"))
    halfway = deleted_later(old, store)
    prune(store, ["9-a", "9-b", "9-c", "9-d"], 1, used=["9-a"])
    kept, after = store.lineages(), deleted_later(old, store)
    release(store, "9-e", handled)
    prune(store, ["9-a", "9-b", "9-c", "9-d", "9-e"], 1, used=["9-d"])

    assert [name for name, _ in told] == ["9-b", "9-d"]
    assert told == halfway == after
    assert kept == ["9-b"]
    assert store.lineages() == []
    assert deleted_later(newest, store) == []


def test_a_damaged_lineage_is_told(tmp_path: Path) -> None:
    """Nobody is to believe that nothing was deleted."""
    store = Store(f"file://{tmp_path / 'store'}")
    old = release(store, "9-a", Lineage(ranges=[OffsetRange("labelled", 0, 0, 10)]))
    overwrite(store, "lineage/9-b.json", b"{")

    with pytest.raises(ReleaseRefused, match="lineage"):
        deleted_later(old, store)


def test_places_are_named_for_people() -> None:
    """One label or several of a partition."""
    assert place(LabelOffsets("labelled", 0, [3])) == "the label at offset 3 of labelled[0]"
    assert (
        place(LabelOffsets("labelled", 2, [3, 12])) == "the labels at offsets 3, 12 of labelled[2]"
    )
