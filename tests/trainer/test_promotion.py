"""From the gates to all listings and back: labels decide, and every move is announced with its reason."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from artefacts.last_served import LastServed
from artefacts.store import Store
from roomstream.brokers import Broker
from roomstream.live import Channel, on_channels, put_on_channel
from runtime.announcements import Announcements
from runtime.health import Health
from runtime.settings import KafkaSettings, SharedSettings, load
from runtime.topics import create_topics
from schemas.events import ReleaseAnnouncement
from tests.processes import eventually
from tests.releases import tiny_release
from tests.trainer.labels import labelled, records
from trainer.contest import Contest, Lead, lead
from trainer.database import Database
from trainer.drift import Drift
from trainer.finetuning.slow_path import SlowPath
from trainer.following import Following
from trainer.learning import Learning
from trainer.live import Releases
from trainer.metrics import TrainerMetrics
from trainer.promotion import Promotion
from trainer.publishing import Publishing
from trainer.settings import TrainerSettings

GOOD, WRONG, WEAK = 12.0, -12.0, 0.0
"""Steepness of a tiny head: right on all that it is shown, wrong on all, or always the first class."""


class Desk:
    """A trainer without its loop, beside a broker; an operator's hand on the same topics."""

    def __init__(self, kafka: KafkaSettings, prefix: str, folder: Path, **options: object) -> None:
        self.kafka = kafka
        self.shared = SharedSettings(
            store=f"file://{folder / 'store'}", cache=folder / "cache", topic_prefix=prefix
        )
        self.settings = TrainerSettings(
            database=folder / "trainer.sqlite",
            release_interval_seconds=0,
            promotion_margin=0.05,
            holdout_share=0.3,
            holdout_size=10,  # what an operator put there is no release of ours: it takes some proof
            **options,  # type: ignore[arg-type]
        )
        self._number = 0
        self._epoch = 0

    def begin(self) -> None:
        """Start, or start again."""
        self._epoch += 1
        releases = Releases(self.shared.cache, threads=1)
        self.metrics = TrainerMetrics()
        self.announcements = Announcements(self.kafka, self.shared.topic_prefix)
        served = LastServed(self.shared.cache, self.shared.topic_prefix)
        self.following = Following(
            self.announcements, releases, served, self.metrics, Health("release"), self._epoch
        )
        live = self.following.start(5)
        self.database = Database(self.settings.database)
        self.contest = Contest(self.database, self.settings, releases, self.metrics, live)
        self.learning = Learning(
            self.database,
            self.settings,
            "",
            live,
            lambda _: None,
            self.metrics,
            lambda *labelled: self.contest.observe(*labelled),
        )
        self.publishing = Publishing(
            self.kafka,
            self.shared,
            self.settings,
            self.database,
            releases,
            self.metrics,
            self._epoch,
        )
        self.promotion = Promotion(
            self.settings,
            self.database,
            self.contest,
            self.publishing,
            self.following,
            self.learning,
            self._slow_path(releases),
            self.metrics,
        )

    def _slow_path(self, releases: Releases) -> SlowPath:
        return SlowPath(
            self.settings,
            self.database,
            self.learning,
            releases,
            Drift(self.database, self.metrics),
            lambda: None,
            self.metrics,
            "INFO",
        )

    def close(self) -> None:
        """Stop; what is not in the database or on the topic is gone."""
        self.announcements.close()
        self.database.__exit__()

    def put(self, scale: float, channel: Channel = "live", pinned: bool = False) -> str:
        """An operator announces a release."""
        release = tiny_release(Store(self.shared.store), scale=scale).release
        share = 1.0 if channel == "live" else 0.2
        put_on_channel(self.kafka, self.shared, release, "a test", pinned, channel, share)
        return release

    def learn(self, count: int) -> None:
        """Take in labels, each of a listing of its own."""
        numbers = range(self._number, self._number + count)
        self.learning.step(records([labelled(number) for number in numbers], self._number))
        self._number += count

    def sees(self, release: str, channel: str = "live") -> None:
        """Wait until the trainer has read what an operator announced."""

        def found() -> bool:
            self.promotion.follow()
            trial = self.following.challenger
            where = self.following.live.announcement if channel == "live" else trial
            return where is not None and where.release == release

        eventually(found, f"{release} on {channel} is seen", 15)

    def step(self) -> None:
        """What the loop does after a mini-batch."""
        self.promotion.follow()
        self.promotion.step()

    def on(self, channel: str) -> ReleaseAnnouncement | None:
        """What stands on the topic."""
        return on_channels(self.kafka, self.shared).get(channel)

    def decided(self, outcome: str) -> float | None:
        """How often labels decided so."""
        name = "roomstream_trainer_promotions_total"
        return self.metrics.registry.get_sample_value(name, {"outcome": outcome})

    def outcomes(self) -> dict[str, str]:
        """What became of each candidate."""
        return dict(self.database._rows("SELECT release, outcome FROM candidates"))


@pytest.fixture
def desk(embedded_broker: Broker, topic_prefix: str, tmp_path: Path) -> Iterator[Desk]:
    """Candidates go to channel shadow; what is live knows nothing but was not untrained either."""
    kafka = load(KafkaSettings, bootstrap_servers=embedded_broker.bootstrap_servers)
    create_topics(kafka, topic_prefix, partitions=1, replication_factor=1)
    desk = Desk(kafka, topic_prefix, tmp_path, promotion="shadow")
    with closing(desk):
        yield desk


def test_a_candidate_is_tried_and_promoted(desk: Desk) -> None:
    """It is a shadow first; labels that come later make it live, and the trial ends."""
    base = desk.put(WEAK)
    desk.begin()
    desk.learn(60)
    desk.step()
    trial = desk.on("shadow")
    assert trial is not None
    live_meanwhile = desk.on("live")
    desk.learn(4)
    desk.step()
    waiting = desk.outcomes()
    while desk.on("shadow"):
        desk.learn(16)
        desk.step()
        assert desk._number < 400
    live = desk.on("live")

    assert live_meanwhile is not None
    assert live is not None
    assert (base, trial.release) == (live_meanwhile.release, live.release)
    assert (trial.share, trial.epoch, live.share) == (desk.settings.challenger_share, 1, 1.0)
    assert {trial.release: "challenger"} == waiting
    assert {trial.release: "announced"} == desk.outcomes()
    assert live.why.startswith("promoted from shadow: of ")
    assert desk.decided("promoted") == 1
    assert Store(desk.shared.store).pointed("live") == live.release


def test_a_worse_challenger_is_dropped(desk: Desk) -> None:
    """By labels alone, though an operator announced it; then the trainer goes on."""
    live = desk.put(GOOD)
    bad = desk.put(WRONG, "canary")
    desk.begin()
    desk.sees(bad, "canary")
    desk.learn(60)
    desk.step()
    desk.sees(live)
    after = desk.announcements.last["canary"]

    assert (after.release, after.share, after.epoch) == (bad, 0.0, 1)
    assert f"worse than {live}" in after.why
    assert desk.on("canary") is None
    assert desk.decided("dropped") == 1
    assert desk.following.challenger is None


@pytest.mark.parametrize("promotion", ["direct", "shadow"])
def test_a_pinned_challenger_is_left_alone(desk: Desk, promotion: str) -> None:
    """An operator only wants to look: candidates go live if they need no trial, else they wait."""
    desk.settings = desk.settings.model_copy(update={"promotion": promotion})
    before = desk.put(WEAK)
    bad = desk.put(WRONG, "shadow", pinned=True)
    desk.begin()
    desk.sees(bad, "shadow")
    desk.learn(80)
    desk.step()
    trial, live = desk.on("shadow"), desk.on("live")

    assert trial is not None
    assert live is not None
    assert (trial.release, trial.pinned) == (bad, True)
    if promotion == "direct":
        assert {live.release: "announced"} == desk.outcomes()
    else:
        assert (live.release, desk.outcomes()) == (before, {})


@pytest.mark.parametrize("promotion", ["direct", "canary"])
def test_a_bad_release_that_was_forced_live_is_rolled_back(desk: Desk, promotion: str) -> None:
    """To the one before it, with the reason; what is made next must win a trial as a shadow."""
    good = desk.put(GOOD)
    desk.settings = desk.settings.model_copy(update={"promotion": promotion})
    desk.begin()
    bad = desk.put(WRONG)
    desk.sees(bad)
    desk.learn(200)
    desk.step()
    live = desk.on("live")
    desk.step()
    trial = desk.on("shadow")

    assert live is not None
    assert trial is not None
    assert (live.release, live.epoch, live.pinned) == (good, 1, False)
    assert f"rolled back from {bad}" in live.why
    assert desk.decided("rolled_back") == 1
    assert {trial.release: "challenger"} == desk.outcomes()


def test_a_pinned_release_is_never_rolled_back(desk: Desk) -> None:
    """An operator chose it."""
    desk.put(GOOD)
    desk.begin()
    bad = desk.put(WRONG, pinned=True)
    desk.sees(bad)
    desk.learn(80)
    desk.step()
    live = desk.on("live")

    assert live is not None
    assert bad == live.release


def test_the_last_that_proved_itself_is_gone_back_to(desk: Desk) -> None:
    """Releases follow each other quickly; none of them is trusted before labels have spoken for it."""
    desk.put(WEAK)
    desk.settings = desk.settings.model_copy(update={"promotion": "direct"})
    desk.begin()
    seen = []
    for _ in range(12):
        desk.learn(32)
        desk.step()
        seen.append(desk.following.live.manifest.release)
    guard = desk.contest._guard

    assert len(set(seen)) == 12
    assert guard.old.release in seen[:-1]
    assert guard.new.release == seen[-1]


def test_a_trial_survives_a_restart(desk: Desk) -> None:
    """The labels counted before count after, and no label counts twice."""
    desk.put(WEAK)
    desk.begin()
    desk.learn(60)
    desk.step()
    trial = desk.on("shadow")
    desk.learn(6)
    before = desk.contest._duel
    desk.close()
    desk.begin()
    desk.sees(trial.release if trial else "", "shadow")
    after = desk.contest._duel
    desk.learning.step(records([labelled(number) for number in range(60, 66)], 60))

    assert trial is not None
    assert before is not None
    assert (before.pairs.labels, before) == (6, after)
    assert desk.contest._duel == before


def test_the_learner_is_compared_with_the_live_release(desk: Desk) -> None:
    """On labels before it learns them, over a restart, and anew with every release that is live."""
    desk.settings = desk.settings.model_copy(update={"promotion": "direct"})
    desk.put(WEAK)
    desk.begin()
    desk.learn(40)
    desk.learn(20)
    before = lead(desk.database)
    desk.close()
    desk.begin()
    after = desk.contest._lead
    desk.step()
    live = desk.on("live")

    assert before is not None
    assert before == after
    assert before.pairs.labels == 60
    assert before.pairs.wins > before.pairs.losses
    assert live is not None
    assert lead(desk.database) == Lead(live.release)


@pytest.mark.parametrize("said", ["nothing", "live"])
def test_a_promotion_that_was_cut_short_is_finished(desk: Desk, said: str) -> None:
    """Killed before or after the release was announced as live: both end alike."""
    desk.put(WEAK)
    desk.begin()
    desk.learn(60)
    desk.step()
    trial = desk.on("shadow")
    assert trial is not None
    while desk.contest.move() is None:
        desk.learn(16)
    if said == "live":
        desk.promotion._end = lambda _: None  # type: ignore[method-assign, assignment]
        desk.step()
    desk.close()
    desk.begin()
    desk.sees(trial.release, "shadow")
    desk.step()
    live = desk.on("live")

    assert live is not None
    assert trial.release == live.release
    assert desk.announcements.last["shadow"].share == 0
    assert {trial.release: "announced"} == desk.outcomes()


def test_a_promotion_cut_short_is_guarded_like_any_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed when it was announced and nothing noted: it can be rolled back to what it has beaten."""
    base = desk.put(WEAK)
    desk.begin()
    desk.contest.put_on_probation()
    desk.learn(60)
    desk.step()
    trial = desk.on("shadow")
    assert trial is not None
    while desk.contest.move() is None:
        desk.learn(16)
    monkeypatch.setattr(desk.following, "is_ours", _killed)
    with pytest.raises(InterruptedError):
        desk.step()
    desk.close()
    desk.begin()
    guard = desk.contest._guard

    assert (guard.new.release, guard.old.release) == (trial.release, base)
    assert guard.pairs.labels == 0
    assert not desk.contest.on_probation


def _killed(*_: object) -> None:
    raise InterruptedError


def test_what_is_announced_is_noted_before(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between store and topic: what is in the store is known as ours, and goes when it is old."""
    desk.put(WEAK)
    desk.begin()
    desk.learn(60)
    monkeypatch.setattr(desk.publishing, "say", _killed)
    with pytest.raises(InterruptedError):
        desk.step()
    (lost,) = desk.outcomes()
    desk.close()
    desk.begin()
    desk.step()

    assert lost in Store(desk.shared.store).releases()
    assert lost in desk.database.candidates.made()
    assert list(desk.outcomes().values()) == ["unannounced", "challenger"]


def test_a_release_that_is_gone_is_not_gone_back_to(desk: Desk, tmp_path: Path) -> None:
    """The one before the live one is damaged: the live one stays, bad as it is, and the trainer runs."""
    good = desk.put(GOOD)
    desk.begin()
    bad = desk.put(WRONG)
    desk.sees(bad)
    desk.learn(40)
    waiting = desk.contest.move()
    desk.close()
    (tmp_path / f"store/releases/{good}.json").write_text("{}")
    desk.begin()
    desk.step()
    live = desk.on("live")

    assert waiting is not None
    assert waiting.kind == "restore"
    assert live is not None
    assert live.release == bad


def test_a_challenger_that_cannot_be_loaded_is_dropped(desk: Desk, tmp_path: Path) -> None:
    """With its reason; nobody waits for it."""
    desk.put(GOOD)
    store = Store(desk.shared.store)
    broken = tiny_release(store, scale=7)
    put_on_channel(desk.kafka, desk.shared, broken.release, "a test", channel="shadow", share=0.5)
    head = broken.blobs["head.onnx"].digest
    (tmp_path / "store/blobs/sha256" / head[:2] / head).unlink()
    desk.begin()
    desk.sees(broken.release, "shadow")
    desk.step()

    assert desk.on("shadow") is None
    assert "cannot be loaded" in desk.announcements.last["shadow"].why
    assert desk.decided("dropped") == 1
