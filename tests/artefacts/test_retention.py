"""Old releases of a trainer leave the store with what only they had; all others stay whole."""

import uuid
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from artefacts.errors import ReleaseMissing
from artefacts.manifest import ENCODER, HEAD, Manifest
from artefacts.retention import prune
from artefacts.store import Store
from tests.releases import tiny_release


@pytest.fixture
def store() -> Store:
    return Store(f"memory://{uuid.uuid4().hex}")


def made(store: Store, base: Manifest, number: int, parent: str) -> str:
    """A release of a trainer: a head of its own on the encoder of the base."""
    head = store.put(b"a head %d" % number)
    manifest = msgspec.structs.replace(
        base,
        release=f"20300101T0000{number:02}.000Z-{number:08x}",
        created_at=datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
        blobs={**base.blobs, HEAD: head},
        parent=parent,
    )
    store.publish(manifest)
    return manifest.release


def chain(store: Store, count: int) -> tuple[Manifest, list[str]]:
    base = tiny_release(store)
    names = [base.release]
    for number in range(count):
        names.append(made(store, base, number, names[-1]))
    return base, names[1:]


def test_the_oldest_go_with_their_heads(store: Store) -> None:
    """Encoder and base stay, and so do the newest, whole."""
    base, names = chain(store, 8)
    heads = [store.manifest(name).blobs[HEAD] for name in names]
    gone = prune(store, names, 3, used=[names[-1]])

    assert gone == names[:5]
    assert store.releases() == [base.release, *names[5:]]
    assert [store.get(head) for head in heads[5:]]
    for head in heads[:5]:
        with pytest.raises(ReleaseMissing):
            store.get(head)
    assert store.get(base.blobs[ENCODER])
    assert prune(store, names, 3, used=[names[-1]]) == []


def test_what_serves_and_what_it_came_from_stay(store: Store) -> None:
    """However old: a rollback goes to the parent."""
    _, names = chain(store, 8)
    gone = prune(store, names, 2, used=[names[3]])

    assert gone == [names[n] for n in (0, 1, 4, 5)]


def test_blobs_stay_while_a_manifest_cannot_be_read(store: Store) -> None:
    """It may name any of them; somebody has to look at it, and it stays too."""
    _, names = chain(store, 6)
    head = store.manifest(names[0]).blobs[HEAD]
    store._write(store._manifest_path("20290101T000000.000Z-damaged"), b"{")
    gone = prune(store, names, 2, used=[])

    assert gone == names[:4]
    assert store.get(head)
    assert "20290101T000000.000Z-damaged" in store.releases()


def test_releases_of_another_trainer_stay(store: Store) -> None:
    """Deployments may share a store, and nobody knows here what the others serve."""
    _, names = chain(store, 8)
    gone = prune(store, names[1::2], 2, used=[])

    assert gone == [names[1], names[3]]
    assert [store.manifest(name) for name in names[::2]]
