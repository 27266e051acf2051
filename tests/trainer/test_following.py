"""The trainer knows what is live, whoever announced it, and in which order."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from artefacts.last_served import LastServed
from artefacts.store import Store
from roomstream.brokers import Broker
from roomstream.live import make_live
from runtime.announcements import Announcements, announce, claim
from runtime.health import Health
from runtime.settings import KafkaSettings, SharedSettings, load
from runtime.topics import create_topics
from schemas.errors import ExitCode, RoomstreamError
from schemas.events import ReleaseAnnouncement, TrainerClaim
from tests.processes import eventually
from tests.releases import tiny_release
from trainer.following import Following
from trainer.leadership import Superseded
from trainer.live import LiveRelease, Releases
from trainer.metrics import TrainerMetrics


class Scene:
    """A trainer's view of `releases`, and an operator's hand."""

    def __init__(self, kafka: KafkaSettings, prefix: str, folder: Path) -> None:
        self.kafka = kafka
        self.shared = SharedSettings(
            store=f"file://{folder / 'store'}", cache=folder / "cache", topic_prefix=prefix
        )
        self.store = Store(self.shared.store)
        self.releases = Releases(self.shared.cache, threads=1)
        self.metrics = TrainerMetrics()
        self.health = Health("release")
        self.announcements = Announcements(kafka, prefix)
        self.following = self._following(1)
        self.taken_up: list[str] = []

    def announce(self, scale: float, pinned: bool = False) -> LiveRelease:
        """Somebody makes a new release live."""
        manifest = tiny_release(self.store, scale=scale)
        announcement = make_live(self.kafka, self.shared, manifest.release, "a test", pinned)
        return self.releases.load(announcement)

    def announce_as(self, scale: float, epoch: int) -> LiveRelease:
        """A trainer announces a new release."""
        manifest = tiny_release(self.store, scale=scale)
        announcement = ReleaseAnnouncement(
            channel="live",
            release=manifest.release,
            manifest_digest=self.store.manifest_digest(manifest.release),
            store=self.shared.store,
            why="a test",
            announced_at=datetime.now(UTC),
            epoch=epoch,
        )
        announce(self.kafka, self.shared.topic_prefix, announcement)
        return self.releases.load(announcement)

    def claim(self, epoch: int) -> None:
        """A trainer takes the lead."""
        ours = TrainerClaim(epoch=epoch, trainer="a test", claimed_at=datetime.now(UTC))
        claim(self.kafka, self.shared.topic_prefix, ours)

    def lead(self, epoch: int) -> None:
        """This trainer takes the lead and starts."""
        self.claim(epoch)
        self.following = self._following(epoch)
        self.following.start(5)

    def _following(self, epoch: int) -> Following:
        served = LastServed(self.shared.cache, self.shared.topic_prefix)
        return Following(
            self.announcements, self.releases, served, self.metrics, self.health, epoch
        )

    def look(self, until: Callable[[], bool], what: str) -> None:
        """Look at the topic until something is so."""

        def found() -> bool:
            if self.following.newer():
                self.taken_up.append(self.live)
            return until()

        eventually(found, what, 15)

    @property
    def live(self) -> str:
        """What the trainer holds for live."""
        return self.following.live.manifest.release


@pytest.fixture
def scene(embedded_broker: Broker, topic_prefix: str, tmp_path: Path) -> Iterator[Scene]:
    kafka = load(KafkaSettings, bootstrap_servers=embedded_broker.bootstrap_servers)
    create_topics(kafka, topic_prefix, partitions=1, replication_factor=1)
    scene = Scene(kafka, topic_prefix, tmp_path)
    with closing(scene.announcements):
        yield scene


def test_it_starts_with_the_last_announcement(scene: Scene) -> None:
    """Older ones are history; probes and metrics show which it is."""
    scene.announce(12)
    last = scene.announce(11).manifest.release
    scene.following.start(5)
    value = scene.metrics.registry.get_sample_value

    assert last == scene.live
    assert scene.health.ready
    assert value("roomstream_trainer_live_release_info", {"release": last}) == 1


def test_without_an_announcement_it_does_not_start(scene: Scene) -> None:
    """The message says how to make a release."""
    with pytest.raises(RoomstreamError, match="roomstream base import") as caught:
        scene.following.start(0.2)

    assert caught.value.exit_code == ExitCode.RELEASE


def test_an_operators_release_is_taken_up(scene: Scene) -> None:
    """Once, and with its pin; the gauge moves on."""
    old = scene.announce(12).manifest.release
    scene.following.start(5)
    new = scene.announce(11, pinned=True).manifest.release
    scene.look(lambda: scene.live == new, "the operator's release")
    value = scene.metrics.registry.get_sample_value

    assert [new] == scene.taken_up
    assert scene.following.live.announcement.pinned
    assert value("roomstream_trainer_live_release_info", {"release": old}) is None


def test_a_pin_of_the_same_release_is_noticed(scene: Scene) -> None:
    """It is loaded already; only the announcement changes."""
    release = scene.announce(12).manifest.release
    scene.following.start(5)
    for pinned in (True, False):
        make_live(scene.kafka, scene.shared, release, "a pin", pinned)
        scene.look(lambda p=pinned: scene.following.live.announcement.pinned == p, "it")  # type: ignore[misc]

    assert scene.taken_up == []


def test_our_own_announcements_do_not_come_back(scene: Scene) -> None:
    """Two of ours in a row are read after the second was made: the first is not gone back to."""
    scene.announce(12)
    scene.following.start(5)
    for scale in (11, 10, 9):
        ours = scene.announce(scale)
        scene.following.is_ours(ours)
    after = scene.announce(8).manifest.release
    scene.look(lambda: scene.live == after, "the operator's release after ours")

    assert [after] == scene.taken_up


def test_what_ours_has_hidden_counts(scene: Scene) -> None:
    """An operator was faster by a moment, and ours is the last: theirs is to be announced again."""
    scene.announce(12)
    scene.following.start(5)
    ours = [scene.announce(11)]
    theirs = scene.announce(10, pinned=True)
    ours.append(scene.announce(9))
    for each in ours:
        scene.following.is_ours(each)
    scene.look(lambda: scene.live == theirs.manifest.release, "the operator's release")

    assert scene.following.live.announcement.pinned
    assert theirs.announcement == scene.following.overtaken()
    assert scene.following.overtaken() is None


def test_what_an_older_epoch_made_live_is_announced_under_ours(scene: Scene) -> None:
    """Or what was announced under it too late could be taken for it, once the topic is compacted."""
    before = scene.announce_as(12, epoch=1)
    scene.lead(2)
    again = scene.following.overtaken()
    scene.announce_as(11, epoch=2)

    assert before.announcement == again
    assert scene.following.overtaken() is None


def test_an_operators_release_needs_no_epoch(scene: Scene) -> None:
    """It counts under whatever trainer: nothing is announced again at a start."""
    scene.announce(12)
    scene.lead(2)

    assert scene.following.overtaken() is None


def test_a_newer_operators_release_is_not_undone_by_the_takeover(scene: Scene) -> None:
    """It came between start and the first look: what was live at the start is not repeated."""
    scene.announce_as(12, epoch=1)
    scene.lead(2)
    theirs = scene.announce(11).manifest.release
    scene.look(lambda: scene.live == theirs, "the operator's release")

    assert scene.following.overtaken() is None


def test_a_stale_announcement_is_covered_by_the_right_one(scene: Scene) -> None:
    """Once: what is ours is on its way then."""
    scene.announce(12)
    scene.lead(2)
    theirs = scene.announce(11)
    scene.announce_as(10, epoch=1)
    scene.look(lambda: bool(scene.announcements.hidden), "the stale one")
    again = scene.following.overtaken()
    assert again is not None
    scene.following.is_repeated(again)
    twice = scene.following.overtaken()
    announce(scene.kafka, scene.shared.topic_prefix, again)
    scene.look(lambda: not scene.announcements.hidden, "ours")

    assert theirs.announcement == again
    assert twice is scene.following.overtaken() is None
    assert scene.live == theirs.manifest.release


def test_another_trainers_claim_ends_it(scene: Scene) -> None:
    """With the exit code of trying again: then it stands by."""
    scene.announce(12)
    scene.lead(2)
    scene.claim(3)
    with pytest.raises(Superseded, match="epoch 3, this one's is 2") as caught:
        scene.look(lambda: False, "the claim")

    assert caught.value.exit_code == ExitCode.TRY_AGAIN


def test_a_release_that_cannot_be_fetched_is_waited_for(scene: Scene, tmp_path: Path) -> None:
    """While its store is out of reach nothing is decided; then it is taken up."""
    scene.announce(12)
    scene.following.start(5)
    scene.following._retry_at = 0
    gone, store = tmp_path / "gone", tmp_path / "store"
    wanted = scene.announce(10).manifest.release
    store.rename(gone)
    store.touch()  # a file where the folder was: reading fails, and not as a missing release
    scene.look(lambda: scene.following.undecided, "a failed attempt")
    before = scene.live
    store.unlink()
    gone.rename(store)
    scene.look(lambda: not scene.following.undecided, "another attempt")

    assert before != wanted
    assert wanted == scene.live


def test_a_damaged_release_is_passed_over(scene: Scene) -> None:
    """The one before it stays, also in a trainer that starts anew; the next good one is taken up."""
    first = scene.announce(12).manifest.release
    scene.following.start(5)
    broken = tiny_release(scene.store, scale=11)
    head = broken.blobs["head.onnx"]
    folder = Path(scene.shared.store.removeprefix("file://")) / "blobs/sha256" / head.digest[:2]
    (folder / head.digest).write_bytes(b"x" * head.size_bytes)
    make_live(scene.kafka, scene.shared, broken.release, "a mistake")
    scene.look(lambda: True, "a look")
    scene.lead(2)
    begun_with = scene.live
    good = scene.announce(9).manifest.release
    scene.look(lambda: scene.live == good, "the good one")

    assert first == begun_with
    assert [good] == scene.taken_up
