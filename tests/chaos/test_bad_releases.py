"""Releases that are damaged and announced all the same: refused, and the one before serves on."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from artefacts.manifest import HEAD, Blob, Manifest
from artefacts.store import Store
from roomstream.audit import run_audit
from runtime.announcements import announce
from schemas.events import ReleaseAnnouncement
from schemas.topics import Topic
from tests.chaos.cluster import Cluster
from tests.chaos.conftest import MakeStage
from tests.chaos.stage import Stage
from tests.kafka_io import send
from tests.mounts import fill, tiny_disk
from tests.processes import eventually
from tests.releases import tiny_release
from tests.stores import overwrite, overwrite_blob
from tests.workers.listings import answers, listings, read_answers

REFUSED = "release refused: the one before it serves on"
Harm = Callable[[Store, Manifest], Manifest]


def _head(store: Store, manifest: Manifest) -> tuple[Blob, bytes]:
    blob = manifest.blobs[HEAD]
    return blob, store.get(blob)


def damaged(store: Store, manifest: Manifest) -> Manifest:
    blob, data = _head(store, manifest)
    overwrite_blob(store, blob, data[:-1] + b"x")
    return manifest


def truncated(store: Store, manifest: Manifest) -> Manifest:
    blob, data = _head(store, manifest)
    overwrite_blob(store, blob, data[: len(data) // 2])
    return manifest


def missing(store: Store, manifest: Manifest) -> Manifest:
    """Name a blob that nobody has put."""
    return _rewritten(store, manifest, Blob.of(b"never put"))


def of_another_size(store: Store, manifest: Manifest) -> Manifest:
    blob = manifest.blobs[HEAD]
    return _rewritten(store, manifest, Blob(blob.digest, blob.size_bytes + 1))


def _rewritten(store: Store, manifest: Manifest, head: Blob) -> Manifest:
    """Write another manifest behind the store's back, which would not publish it."""
    changed = msgspec.structs.replace(manifest, blobs={**manifest.blobs, HEAD: head})
    overwrite(store, f"releases/{manifest.release}.json", changed.encode())
    return changed


def announced(stage: Stage, manifest: Manifest) -> None:
    """Say that a release is live, whatever state it is in."""
    announcement = ReleaseAnnouncement(
        channel="live",
        release=manifest.release,
        manifest_digest=manifest.digest(),
        store=stage.store.address,
        why="a test",
        announced_at=datetime.now(UTC),
    )
    announce(stage.kafka, stage.prefix, announcement)


def refused(stage: Stage, worker: int) -> list[str]:
    """The releases that a worker refused, by its log."""
    lines = map(json.loads, stage.workers[worker].log.read_text().splitlines())
    return [line["release"] for line in lines if line["event"] == REFUSED]


def test_no_damaged_release_serves(one_node: Cluster, stage: MakeStage) -> None:
    """All are refused, also by a worker that starts anew; every listing is answered by the old."""
    ours = stage(one_node, "exactly-once")
    (base,) = ours.store.releases()
    ours.workers[2].want()
    eventually(ours.workers[2].ready, "it is ready", 60)
    bad: list[str] = []
    for number, harm in enumerate((damaged, truncated, missing, of_another_size), 1):
        manifest = harm(ours.store, tiny_release(ours.store, scale=12 + number))
        announced(ours, manifest)
        bad.append(manifest.release)
        eventually(lambda: refused(ours, 2) == bad, f"{harm.__name__} is refused")
    ours.workers[2].kill()  # while the last of them is live
    eventually(lambda: refused(ours, 2) == [*bad, bad[-1]], "it is refused at a start")
    places = send(ours.kafka, Topic.LISTINGS.named(ours.prefix), listings(80))
    records = read_answers(ours.kafka, ours.prefix, places)
    good = tiny_release(ours.store, scale=20)
    announced(ours, good)
    places = send(ours.kafka, Topic.LISTINGS.named(ours.prefix), listings(80))
    after = read_answers(ours.kafka, ours.prefix, places)

    assert {answer.release for answer in answers(records)} == {base}
    assert {answer.release for answer in answers(after)} <= {base, good.release}
    assert ours.workers[2].ready()
    assert ours.workers[2].gone() == 0
    assert all(audit.whole for audit in run_audit(ours.kafka, ours.prefix, ours.group))


def test_a_full_disk_keeps_the_old_release_serving(one_node: Cluster, stage: MakeStage) -> None:
    """A worker whose cache takes nothing more serves on, and takes the release up once there is room."""
    ours = stage(one_node, "at-least-once")
    with tiny_disk(ours.folder / "small", "64k") as disk:
        worker = ours.workers[2]
        worker.environment["ROOMSTREAM_CACHE"] = str(disk)
        worker.want()
        eventually(worker.ready, "it is ready", 60)
        ballast = disk / "ballast"
        fill(ballast)
        newer = tiny_release(ours.store, scale=13)
        announced(ours, newer)
        eventually(lambda: "trying again" in worker.log.read_text(), "it cannot be fetched")
        places = send(ours.kafka, Topic.LISTINGS.named(ours.prefix), listings(40))
        records = read_answers(ours.kafka, ours.prefix, places)
        assert worker.ready()
        ballast.unlink()
        eventually(lambda: newer.release in _taken_up(worker.log.read_text()), "it is taken up")
        code = worker.gone()

    assert newer.release not in {answer.release for answer in answers(records)}
    assert code == 0
    assert all(audit.whole for audit in run_audit(ours.kafka, ours.prefix, ours.group))


def _taken_up(log: str) -> list[str]:
    lines = map(json.loads, log.splitlines())
    return [line["release"] for line in lines if line["event"] == "release taken up"]
