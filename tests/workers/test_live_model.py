"""The live release: taken up beside the old one, refused where it cannot be served."""

import io
import json
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

from artefacts.errors import DigestMismatch, ReleaseMissing
from artefacts.manifest import HEAD, Golden, Manifest
from artefacts.store import Store
from roomstream.live import make_live
from runtime.announcements import announce
from runtime.health import Health
from runtime.logs import configure_logs
from runtime.retrying import BackOff
from runtime.settings import KafkaSettings, SharedSettings, load
from schemas.errors import ExitCode
from schemas.events import ReleaseAnnouncement
from tests.processes import eventually
from tests.releases import tiny_release
from tests.workers.brokers import ON_EMBEDDED
from workers import live_model
from workers.live_model import LiveModel
from workers.metrics import WorkerMetrics
from workers.settings import WorkerSettings

pytestmark = pytest.mark.usefixtures("topics")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a worker would write to standard error."""
    found = io.StringIO()
    handlers = logging.getLogger().handlers[:]
    monkeypatch.setattr(sys, "stderr", found)
    configure_logs("worker")
    yield found
    logging.getLogger().handlers[:] = handlers
    structlog.reset_defaults()


class Serving:
    """A live model with its metrics, as a worker holds it."""

    def __init__(self, kafka: KafkaSettings, shared: SharedSettings) -> None:
        self.metrics = WorkerMetrics()
        self.health = Health("release")
        self.model = LiveModel(kafka, shared, load(WorkerSettings), self.metrics, self.health)

    @property
    def release(self) -> str:
        """The release that answers."""
        return self.model.current().manifest.release

    def reloads(self, outcome: str) -> float:
        """So many releases were loaded or refused."""
        name = "roomstream_worker_reloads_total"
        return self.metrics.registry.get_sample_value(name, {"outcome": outcome}) or 0

    def shown(self) -> set[str]:
        """The releases that the metric shows."""
        return {
            sample.labels["release"]
            for metric in self.metrics.live_release.collect()
            for sample in metric.samples
        }


@pytest.fixture
def serving(kafka_settings: KafkaSettings, shared: SharedSettings, live: str) -> Iterator[Serving]:
    """One that has taken up the first release."""
    found = Serving(kafka_settings, shared)
    with closing(found.model):
        found.model.start(10)
        assert live == found.release
        yield found


def announcement(manifest: Manifest, shared: SharedSettings, **changes: str) -> ReleaseAnnouncement:
    fields: dict[str, Any] = {
        "channel": "live",
        "release": manifest.release,
        "manifest_digest": manifest.digest(),
        "store": shared.store,
        "why": "a test",
        "announced_at": datetime.now(UTC),
    }
    return ReleaseAnnouncement(**fields | changes)


def blob_path(shared: SharedSettings, digest: str) -> Path:
    return Path(shared.store.removeprefix("file://")) / "blobs/sha256" / digest[:2] / digest


def lines(log: io.StringIO, event: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line for line in found if line["event"] == event]


def test_without_a_release_it_says_how_to_make_one(
    kafka_settings: KafkaSettings, shared: SharedSettings
) -> None:
    """It waits as long as it was told to; the error ends the worker with exit code 3."""
    with (
        closing(Serving(kafka_settings, shared).model) as model,
        pytest.raises(ReleaseMissing, match="roomstream base import") as caught,
    ):
        model.start(0.5)

    assert caught.value.exit_code == ExitCode.RELEASE


def test_it_waits_for_the_first_announcement(
    kafka_settings: KafkaSettings, shared: SharedSettings, store: Store
) -> None:
    """A worker may be started before anything was imported: it is ready once there is a release."""
    serving = Serving(kafka_settings, shared)
    release = tiny_release(store).release
    with closing(serving.model):
        assert not serving.health.ready
        _later(0.7, lambda: make_live(kafka_settings, shared, release, "the first one"))
        serving.model.start(15)

        assert release == serving.release
        assert {release} == serving.shown()
        assert serving.health.ready
        assert serving.reloads("initial") == 1


def test_the_newest_of_several_is_the_first_to_be_loaded(
    kafka_settings: KafkaSettings, shared: SharedSettings, store: Store
) -> None:
    """A worker that starts late goes straight to what is live now."""
    for scale in (10.0, 11.0, 12.0):
        release = tiny_release(store, scale=scale).release
        make_live(kafka_settings, shared, release, "one of three")
    serving = Serving(kafka_settings, shared)
    with closing(serving.model):
        serving.model.start(10)

        assert release == serving.release
        assert (serving.reloads("initial"), serving.reloads("loaded")) == (1, 0)


def test_a_newer_release_is_taken_up_beside_the_old_one(
    serving: Serving, kafka_settings: KafkaSettings, shared: SharedSettings, store: Store
) -> None:
    """There is a release to answer with at every moment; metric and probe follow."""
    old = serving.model.current()
    release = tiny_release(store, scale=11).release
    make_live(kafka_settings, shared, release, "learned")
    eventually(lambda: serving.release == release, "the newer one answers")

    assert old.predict(["loft"])[0].label == serving.model.current().predict(["loft"])[0].label
    assert serving.reloads("loaded") == 1
    eventually(lambda: serving.shown() == {release}, "the metric names the newer one alone")
    assert release in str(serving.health.report())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a niceness for each thread")
def test_releases_are_loaded_in_the_time_that_is_left(serving: Serving) -> None:
    """The thread that loads yields to those that answer."""
    loading = next(each for each in threading.enumerate() if each.name == "live-model")
    number = loading.native_id or 0
    eventually(lambda: os.getpriority(os.PRIO_PROCESS, number) >= 10, "it yields")

    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) < 10
    assert serving.reloads("initial") == 1


def test_an_encoder_stays_in_memory_while_only_heads_change(
    serving: Serving, kafka_settings: KafkaSettings, shared: SharedSettings, store: Store
) -> None:
    """Learning changes a head of a few kilobytes: the session of the encoder is the same object."""
    first = serving.model.current()
    head = tiny_release(store, scale=11).release
    make_live(kafka_settings, shared, head, "another head")
    eventually(lambda: serving.release == head, "the other head answers")
    second = serving.model.current()
    other = tiny_release(store, seed=1).release
    make_live(kafka_settings, shared, other, "another encoder")
    eventually(lambda: serving.release == other, "the other encoder answers")

    assert first.encoder is second.encoder
    assert first.head is not second.head
    assert first.encoder is not serving.model.current().encoder


def _damaged_blob(store: Store, shared: SharedSettings) -> ReleaseAnnouncement:
    manifest = tiny_release(store, scale=9)
    path = blob_path(shared, manifest.blobs[HEAD].digest)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    return announcement(manifest, shared)


def _missing_blob(store: Store, shared: SharedSettings) -> ReleaseAnnouncement:
    manifest = tiny_release(store, scale=9)
    blob_path(shared, manifest.blobs[HEAD].digest).unlink()
    return announcement(manifest, shared)


def _wrong_golden(store: Store, shared: SharedSettings) -> ReleaseAnnouncement:
    golden = [Golden("Entire flat", [1.0, 2.0, 3.0, 4.0])]
    return announcement(tiny_release(store, scale=9, golden=golden), shared)


def _wrong_digest(store: Store, shared: SharedSettings) -> ReleaseAnnouncement:
    return announcement(tiny_release(store, scale=9), shared, manifest_digest="0" * 64)


def _missing_manifest(store: Store, shared: SharedSettings) -> ReleaseAnnouncement:
    return announcement(tiny_release(store, scale=9), shared, release="20200101T000000.000Z-none")


def _store_of_an_unknown_kind(store: Store, shared: SharedSettings) -> ReleaseAnnouncement:
    return announcement(tiny_release(store, scale=9), shared, store="nonsense://bucket")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_damaged_blob, "sha256 is"),
        (_missing_blob, "blobs/sha256"),
        (_wrong_golden, "answers 'Entire flat'"),
        (_wrong_digest, "sha256 is"),
        (_missing_manifest, "20200101T000000.000Z-none"),
        (_store_of_an_unknown_kind, "nonsense"),
    ],
)
@ON_EMBEDDED
def test_a_release_that_cannot_be_served_is_refused(
    make: Any,
    why: str,
    serving: Serving,
    log: io.StringIO,
    kafka_settings: KafkaSettings,
    shared: SharedSettings,
    store: Store,
) -> None:
    """
    Counted, logged with its cause; the one before it serves on, and the next good one is taken.

    So it is in a worker that starts while the refused one is live.
    """
    live = serving.release
    bad = make(store, shared)
    announce(kafka_settings, shared.topic_prefix, bad)
    eventually(lambda: serving.reloads("refused") == 1, "it is refused")
    refused = lines(log, "release refused: the one before it serves on")

    assert live == serving.release
    assert [(bad.release, live, "error", "worker")] == [
        (line["release"], line["live"], line["level"], line["service"]) for line in refused
    ]
    assert why in refused[0]["why"]
    restarted = Serving(kafka_settings, shared)
    with closing(restarted.model):
        restarted.model.start(10)
        assert live == restarted.release
        assert restarted.health.ready
        assert (restarted.reloads("initial"), restarted.reloads("refused")) == (1, 1)
    release = tiny_release(store, scale=8).release
    make_live(kafka_settings, shared, release, "a good one")
    eventually(lambda: serving.release == release, "the next good one answers")


@ON_EMBEDDED
def test_without_one_before_it_a_refused_release_ends_the_worker(
    kafka_settings: KafkaSettings, shared: SharedSettings, store: Store
) -> None:
    """There is nothing to answer with; a note that cannot be read is none."""
    announce(kafka_settings, shared.topic_prefix, _damaged_blob(store, shared))
    shared.cache.mkdir()
    (shared.cache / f"{shared.topic_prefix}last-served.json").write_text("{")
    with (
        closing(Serving(kafka_settings, shared).model) as model,
        pytest.raises(DigestMismatch, match="sha256 is"),
    ):
        model.start(10)


def test_a_store_out_of_reach_is_tried_again(
    serving: Serving,
    log: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    kafka_settings: KafkaSettings,
    shared: SharedSettings,
    store: Store,
) -> None:
    """A mount that is gone is no fault of the release: it is loaded once the store is back."""
    monkeypatch.setattr(live_model, "_BACK_OFF", BackOff(0.1, 0.2))
    manifest = tiny_release(store, scale=9)
    path = Path(shared.store.removeprefix("file://")) / "releases" / f"{manifest.release}.json"
    data = path.read_bytes()
    path.unlink()
    path.mkdir()  # what reads as an error of the file system, even for root
    announce(kafka_settings, shared.topic_prefix, announcement(manifest, shared))
    trying = "release cannot be fetched: trying again"
    eventually(lambda: len(lines(log, trying)) >= 2, "it tries again")
    path.rmdir()
    path.write_bytes(data)
    eventually(lambda: serving.release == manifest.release, "it is loaded")

    assert serving.reloads("refused") == 0
    assert str(path) in lines(log, trying)[0]["why"]


def test_a_newer_release_ends_the_wait_for_one_out_of_reach(
    serving: Serving,
    monkeypatch: pytest.MonkeyPatch,
    kafka_settings: KafkaSettings,
    shared: SharedSettings,
    store: Store,
) -> None:
    """What was announced last counts: a release that cannot be fetched does not block it."""
    monkeypatch.setattr(live_model, "_BACK_OFF", BackOff(0.1, 0.2))
    manifest = tiny_release(store, scale=9)
    path = Path(shared.store.removeprefix("file://")) / "releases" / f"{manifest.release}.json"
    path.unlink()
    path.mkdir()
    announce(kafka_settings, shared.topic_prefix, announcement(manifest, shared))
    release = tiny_release(store, scale=8).release
    make_live(kafka_settings, shared, release, "newer")

    eventually(lambda: serving.release == release, "the newer one answers")


def test_other_channels_and_strange_messages_change_nothing(
    serving: Serving, kafka_settings: KafkaSettings, shared: SharedSettings, store: Store
) -> None:
    """A shadow release is not served; going back to the first after that is."""
    live = serving.release
    shadow = tiny_release(store, scale=9)
    announce(kafka_settings, shared.topic_prefix, announcement(shadow, shared, channel="shadow"))
    newer = tiny_release(store, scale=8).release
    make_live(kafka_settings, shared, newer, "newer")
    eventually(lambda: serving.release == newer, "the live one answers")
    make_live(kafka_settings, shared, live, "rolled back")
    eventually(lambda: serving.release == live, "the first one answers again")

    assert serving.reloads("loaded") == 2
    assert serving.reloads("refused") == 0
    assert {live} == serving.shown()


def _later(seconds: float, do: Any) -> None:
    timer = threading.Timer(seconds, do)
    timer.daemon = True
    timer.start()
