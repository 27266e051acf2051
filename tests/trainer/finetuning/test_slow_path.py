"""From a trigger to a release with a fine-tuned encoder, and everything that may come between."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from artefacts.errors import ReleaseRefused, StoreError
from artefacts.manifest import ENCODER, TOKENIZER, WEIGHTS, GateResult, LabelOffsets
from artefacts.store import Store
from roomstream.brokers import Broker
from roomstream.live import live_announcement, on_channels
from runtime.settings import KafkaSettings, load
from runtime.topics import create_topics
from schemas.events import FineTuneRequest
from tests.trainer.finetuning.shop import Shop
from trainer.drift import Drift, DriftEvent
from trainer.finetuning.memory import recall, want
from trainer.live import LiveRelease


@pytest.fixture
def kafka(embedded_broker: Broker, topic_prefix: str) -> KafkaSettings:
    """A broker with topics."""
    kafka = load(KafkaSettings, bootstrap_servers=embedded_broker.bootstrap_servers)
    create_topics(kafka, topic_prefix, partitions=1, replication_factor=1)
    return kafka


@pytest.fixture
def shop(kafka: KafkaSettings, topic_prefix: str, tmp_path: Path) -> Iterator[Shop]:
    """A trainer whose first release is live, and that has enough labels to fine-tune."""
    shop = Shop(kafka, topic_prefix, tmp_path)
    shop.learn(60)
    shop.publish()
    yield shop
    shop.database.__exit__()


def _offsets(places: list[LabelOffsets]) -> set[int]:
    return {offset for place in places for offset in place.offsets}


def _request(number: int) -> FineTuneRequest:
    return FineTuneRequest(
        request_id=f"r-{number}", why="a new city", requested_at=datetime.now(UTC)
    )


def test_enough_labels_end_in_a_release_with_another_encoder(shop: Shop, topic_prefix: str) -> None:
    """Announced, with its loss curve; learner, features and logits are those of the new encoder."""
    before = shop.live.manifest
    shop.begin()
    shop.learn(40)  # comes meanwhile
    shop.fine_tune()
    shop.conclude()
    after = shop.live.manifest
    announcement = live_announcement(shop.kafka, shop.shared)
    items = shop.database.kept.items(held_out=False)
    encoded = [row.features for row in shop.live.encode(items.texts) if row is not None]
    stored = shop.database.kept.logits()
    figures = after.fine_tuning

    assert announcement is not None
    assert announcement.release == after.release
    assert "60 labels since the last time" in announcement.why
    assert after.parent == before.release
    assert after.blobs[ENCODER] != before.blobs[ENCODER]
    assert after.blobs[WEIGHTS] != before.blobs[WEIGHTS]
    assert after.blobs[TOKENIZER] == before.blobs[TOKENIZER]
    assert sum(after.lineage.labels_by_class.values()) == sum(shop.database.learned().values())
    assert figures is not None
    assert figures.curve[-1].step == 20
    np.testing.assert_allclose(items.features, np.stack(encoded), atol=1e-6)
    assert stored.keys() == set(items.ids)
    assert shop.learning.learner.name == after.learner
    assert not shop.folder.path.exists()
    assert shop.ended("announced") == 1
    for blob in after.blobs.values():
        Store(shop.shared.store).get(blob)


def test_on_trial_the_learner_stays_with_the_live_encoder(shop: Shop) -> None:
    """Until the trial is won; then it follows, as for any release with another encoder."""
    live, before = shop.live, shop.kept()
    shop.begin()
    shop.fine_tune()
    made = shop.slow_path.conclude(live, shop.publishing, "shadow")

    assert made.announcement.channel == "shadow"
    assert made.manifest.fine_tuning is not None
    assert shop.kept() == before
    assert shop.ended("announced") == 1
    shop.learning.follow(made)
    assert shop.kept() != before


def test_killed_when_its_trial_was_announced_it_is_tried_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is on trial has the encoder of the job in hand: the job is done."""
    shop.begin()
    shop.fine_tune()
    with monkeypatch.context() as patch:
        patch.setattr(shop.slow_path, "_end", _interrupted)
        with pytest.raises(InterruptedError):
            shop.slow_path.conclude(shop.live, shop.publishing, "shadow")
    on_channel = on_channels(shop.kafka, shop.shared)["shadow"]
    shop.restart()
    shop.slow_path.step(shop.live, shop.releases.load(on_channel))

    assert shop.ended("announced") == 1
    assert not shop.slow_path.ready
    assert not shop.folder.path.exists()


def test_the_fast_path_goes_on_from_the_new_encoder(shop: Shop) -> None:
    """Its next candidate carries encoder and weights along, and can be fine-tuned again."""
    shop.begin()
    shop.fine_tune()
    shop.conclude()
    tuned = shop.live.manifest
    shop.learn(20)
    shop.publish()
    shop.restart()
    shop.request = _request(1)
    shop.begin()
    shop.fine_tune()
    shop.conclude()

    parent = Store(shop.shared.store).manifest(shop.live.manifest.parent or "")
    assert parent.parent == tuned.release
    assert parent.blobs[WEIGHTS] == tuned.blobs[WEIGHTS]
    assert parent.fine_tuning is None
    assert shop.live.manifest.blobs[WEIGHTS] != tuned.blobs[WEIGHTS]


def test_a_refused_candidate_leaves_everything_as_it_was(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Live release, features, logits and learner; the candidate is kept with its figures."""
    live, before = shop.live, shop.kept()
    shop.begin()
    shop.fine_tune()
    refusal = [GateResult("accuracy", False, "a test")]
    monkeypatch.setattr("trainer.judging.judge", lambda *_: refusal)
    shop.conclude()
    rows = shop.database._rows("SELECT outcome, manifest FROM candidates ORDER BY release")

    assert shop.live is live
    assert shop.kept() == before
    assert rows[-1][0] == "refused"
    assert b'"fine_tuning": {' in rows[-1][1]
    assert shop.ended("refused") == 1
    assert not shop.folder.path.exists()
    assert not recall(shop.database).job


def test_an_encoder_that_cannot_be_served_ends_the_job(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be made again at every restart; what may mend itself is tried again instead."""
    live, before = shop.live, shop.kept()
    shop.begin()
    shop.fine_tune()

    def fails(error: Exception) -> None:
        def run(*_: object) -> None:
            raise error

        monkeypatch.setattr(shop.publishing, "run", run)

    fails(StoreError("away"))
    with pytest.raises(StoreError):
        shop.conclude()
    still_ready = shop.slow_path.ready
    fails(ReleaseRefused("golden inputs"))
    shop.conclude()

    assert still_ready
    assert shop.live is live
    assert shop.kept() == before
    assert shop.ended("failed") == 1
    assert not shop.folder.path.exists()


@pytest.mark.parametrize("killed", ["before the job", "before the candidate", "before it adopts"])
def test_killed_at_any_moment_it_ends_in_the_same_release(
    shop: Shop, killed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Encoder, weights and head are those of a trainer that was never killed; so is what it learns on."""
    twin = shop.settings.database.with_name("twin.sqlite")
    shop.database._sql.execute("VACUUM INTO ?", (str(twin),))
    live = shop.live
    shop.begin()
    shop.fine_tune()
    shop.conclude()
    expected, kept, release = shop.live.manifest.blobs, shop.kept(), shop.live
    shop.database.__exit__()
    shop.live = live
    shop.settings = shop.settings.model_copy(update={"database": twin})
    shop.folder.path = shop.folder.path.with_name("twin.sqlite.fine-tuning")
    shop.folder.checkpoint = shop.folder.path / "checkpoint.pt"
    shop.start()
    shop.begin()
    if killed == "before the job":
        shop.restart()
    shop.fine_tune()
    if killed == "before the candidate":
        shop.restart()
        shop.fine_tune()
    if killed == "before it adopts":
        monkeypatch.setattr(shop.learning, "adopt", _interrupted)
        with pytest.raises(InterruptedError):
            shop.conclude()
        announced = live_announcement(shop.kafka, shop.shared)
        assert announced is not None
        shop.live = shop.releases.load(announced)
        shop.restart()
        shop.begin()
    else:
        shop.conclude()

    assert shop.live.manifest.release != release.manifest.release
    assert shop.live.manifest.blobs == expected
    found = shop.kept()
    assert [row[:6] for row in found["items"]] == [row[:6] for row in kept["items"]]
    for one, other in zip(found["items"], kept["items"], strict=True):
        np.testing.assert_allclose(_numbers(one), _numbers(other), atol=1e-4)
    assert shop.ended("announced") == 1
    assert not shop.folder.path.exists()


def _numbers(row: tuple[Any, ...]) -> NDArray[np.float32]:
    """Features and logits of an item. An encoder may round otherwise in another batch."""
    return np.frombuffer(row[6] + (row[7] or b""), np.float32)


def _interrupted(*_: object) -> None:
    raise InterruptedError


def test_a_job_without_its_files_begins_again(shop: Shop) -> None:
    """As after a takeover: the snapshot speaks of a job whose folder is on another machine."""
    shop.begin()
    shop.folder.remove()
    shop.restart()
    shop.begin()

    assert recall(shop.database).why == "60 labels since the last time"
    assert shop.folder.job() is not None


def test_another_encoder_ends_the_job(shop: Shop) -> None:
    """Somebody makes a release with another encoder live: what is in hand stands on the old one."""
    shop.begin()
    digest = msgspec.structs.replace(shop.live.manifest.blobs[ENCODER], digest="0" * 64)
    blobs = {**shop.live.manifest.blobs, ENCODER: digest}
    classifier = shop.live.classifier
    other = msgspec.structs.replace(classifier.manifest, blobs=blobs)
    object.__setattr__(classifier, "manifest", other)
    shop.live = LiveRelease(shop.live.announcement, classifier)
    shop.begin()

    assert shop.ended("abandoned") == 1
    assert not recall(shop.database).job


def test_each_request_is_taken_up_once(shop: Shop) -> None:
    """Also after a restart, which reads the same request on the topic again."""
    shop.request = _request(1)
    shop.begin()
    first = recall(shop.database)
    shop.fine_tune()
    shop.conclude()
    shop.restart()
    shop.begin()
    second = recall(shop.database)
    shop.request = _request(2)
    shop.begin()

    assert first.why == "requested: a new city"
    assert second.job == ""
    assert recall(shop.database).request == "r-2"


def test_an_encoder_has_something_of_every_listing_that_it_has_seen(shop: Shop) -> None:
    """Deleted before the job or while it runs, it is gone; later, it stays inside all that follow."""
    first, meanwhile, later = (
        int(name.removeprefix("l-")) for name, _, _ in shop.database.kept.listings()[:3]
    )
    shop.delete(first)
    shop.begin()
    shop.delete(meanwhile)
    shop.fine_tune()
    shop.conclude()
    tuned = shop.live.manifest.lineage
    shop.delete(later)
    shop.learn(20)
    shop.publish()
    after = shop.live.manifest.lineage
    shop.request = _request(1)
    shop.begin()
    shop.fine_tune()
    shop.conclude()
    again = shop.live.manifest.lineage

    assert _offsets(tuned.deleted_since) == {first, meanwhile}
    assert _offsets(tuned.deleted_inside) == set()
    assert _offsets(after.deleted_inside) == _offsets(again.deleted_inside) == {later}
    assert _offsets(after.deleted_since) == _offsets(again.deleted_since) == set()


@pytest.mark.parametrize(
    ("moment", "held_out"),
    [("it runs", True), ("it is done", False), ("the trainer was killed", False)],
)
def test_a_job_begins_again_without_a_listing_that_is_deleted(
    shop: Shop, moment: str, held_out: bool
) -> None:
    """Whatever it has come to, its files go; so they do after a kill before the trainer looked."""
    shop.begin()
    first, listing = shop.folder.job(), shop.database.kept.items(held_out).ids[0]
    if moment == "it is done":
        shop.fine_tune()
    shop.delete(int(listing.removeprefix("l-")))
    if moment == "the trainer was killed":
        shop.restart()
    shop.begin()
    left, ready = shop.folder.path.exists(), shop.slow_path.ready
    shop.begin()
    second = shop.folder.job()

    assert (left, ready) == (False, False)
    assert shop.ended("abandoned") == 1
    assert first is not None
    assert second is not None
    assert first.name != second.name
    assert first.why == second.why == recall(shop.database).why
    assert listing not in shop.folder.listings().ids


def test_killed_while_it_gives_up_a_job_it_leaves_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files that it had no time to remove go at the start."""
    shop.begin()
    why = recall(shop.database).why
    shop.delete(int(shop.database.kept.listings()[0][0].removeprefix("l-")))
    with monkeypatch.context() as patch:
        patch.setattr(shop.slow_path._folder, "remove", _interrupted)
        with pytest.raises(InterruptedError):
            shop.begin()
    left = shop.folder.path.exists()
    shop.restart()
    gone = not shop.folder.path.exists()
    shop.begin()

    assert (left, gone) == (True, True)
    assert recall(shop.database).why == why


def test_other_deletions_are_no_reason_to_begin_again(shop: Shop) -> None:
    """Of a listing that came later, or that nobody knows."""
    shop.begin()
    job = recall(shop.database).job
    shop.learn(5)
    shop.delete(62)
    shop.delete(1_000)
    shop.begin()

    assert recall(shop.database).job == job
    assert shop.ended("abandoned") == 0


def test_a_change_of_the_stream_waits_for_labels_of_the_new_kind(shop: Shop) -> None:
    """On the few that showed it an encoder learns little; changes that follow do not put it off."""
    options = {"finetune_every_labels": 0, "finetune_drift_labels": 20}
    shop.settings = shop.settings.model_copy(update=options)
    shop.restart()
    changed(shop, 1, "madrid")
    shop.learn(19)
    changed(shop, 2, "dublin")
    shop.begin()
    early = recall(shop.database).job
    shop.learn(1)
    shop.begin()

    assert early == ""
    assert recall(shop.database).why == "the stream has changed: madrid"
    assert Drift(shop.database, shop.metrics).pending is None


def changed(shop: Shop, number: int, domain: str) -> None:
    """Drift was seen."""
    event = DriftEvent(
        number=number,
        domain=domain,
        detector="HDDM_W",
        since=datetime.now(UTC),
        labels=5,
        error_before=0.1,
        error_after=0.6,
        classes_before={},
        classes_after={},
        label=shop.database.last_learned(),
    )
    with shop.database.transaction():
        shop.database.add_drift(number, msgspec.json.encode(event))


def test_drift_asks_for_it(shop: Shop) -> None:
    """A wish that was written with a mini-batch is taken up once."""
    shop.settings = shop.settings.model_copy(update={"finetune_every_labels": 0})
    shop.restart()
    shop.begin()
    idle = recall(shop.database).job
    with shop.database.transaction():
        want(shop.database, "drift in Madrid")
    shop.begin()

    assert idle == ""
    assert recall(shop.database).why == "drift in Madrid"


def test_the_budget_of_a_day_holds(shop: Shop) -> None:
    """Once it is spent, the job waits; the next day it goes on."""
    shop.begin()
    with shop.database.transaction():
        spent = recall(shop.database).spending(3_600, datetime.now(UTC))
        shop.slow_path._keep(spent)
    shop.begin()
    waiting = not shop.folder.finished
    with shop.database.transaction():
        shop.slow_path._keep(msgspec.structs.replace(spent, day="2026-01-01"))
    shop.begin()

    assert waiting
    assert shop.folder.finished


def test_a_pinned_release_is_not_fine_tuned(shop: Shop) -> None:
    """An operator chose it: nothing begins until they let go of it."""
    pinned = msgspec.structs.replace(shop.live.announcement, pinned=True)
    shop.live = LiveRelease(pinned, shop.live.classifier)
    shop.begin()

    assert recall(shop.database).job == ""


def test_a_release_without_weights_goes_on_as_it_is(shop: Shop) -> None:
    """It cannot be fine-tuned; the fast path does not mind."""
    manifest = shop.live.manifest
    blobs = {role: blob for role, blob in manifest.blobs.items() if role != WEIGHTS}
    object.__setattr__(
        shop.live.classifier, "manifest", msgspec.structs.replace(manifest, blobs=blobs)
    )
    shop.begin()
    shop.learn(10)
    shop.publish()

    assert recall(shop.database).job == ""
    assert WEIGHTS not in shop.live.manifest.blobs


def test_what_the_learner_said_is_kept(shop: Shop) -> None:
    """Before its first example nothing; then a logit of every class that had an example."""
    first = shop.database.kept.logits()  # of one mini-batch, before which it knew nothing
    shop.learn(10)
    logits = shop.database.kept.logits()
    newest = shop.database.kept.items(held_out=False).ids[-1]

    assert np.isnan(list(first.values())).all()
    assert np.isfinite(logits[newest]).all()
    assert logits[newest].shape == (4,)
