"""The announcements of releases, on both brokers."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Literal

import pytest

from roomstream.brokers import Broker
from roomstream.ports import reserved_port
from runtime.announcements import Announcements, announce, claim
from runtime.settings import KafkaSettings, load
from schemas.errors import TryAgain
from schemas.events import ReleaseAnnouncement, TrainerClaim
from schemas.topics import Topic
from tests.kafka_io import send

RELEASES = [f"20261124T0900{number:02}.000Z-1c5cc3ca" for number in range(10)]


def announcement(
    number: int,
    channel: Literal["live", "shadow", "canary"] = "live",
    epoch: int | None = None,
) -> ReleaseAnnouncement:
    return ReleaseAnnouncement(
        channel=channel,
        release=RELEASES[number],
        manifest_digest=f"{number:064x}",
        store="file:///store",
        why="a test",
        announced_at=datetime(2026, 11, 24, 9, tzinfo=UTC),
        epoch=epoch,
    )


@pytest.fixture
def reader(kafka_settings: KafkaSettings, topics: str) -> Iterator[Announcements]:
    """Reads the announcements of this test."""
    with closing(Announcements(kafka_settings, topics)) as announcements:
        yield announcements


def test_the_last_announcement_of_each_channel_counts(
    kafka_settings: KafkaSettings, topics: str, reader: Announcements
) -> None:
    """Whatever is on the topic is read to its end; channels do not mix."""
    first, shadow, last = announcement(0), announcement(1, "shadow"), announcement(2)
    for each in (first, shadow, last):
        announce(kafka_settings, topics, each)

    assert reader.read_all(20) == {"live": last, "shadow": shadow}


def test_an_empty_topic_is_at_its_end(reader: Announcements) -> None:
    """A deployment without a release does not wait for the time-out."""
    started = time.monotonic()

    assert reader.read_all(20) == {}
    assert time.monotonic() - started < 5


def test_what_cannot_be_read_is_passed_over(
    kafka_settings: KafkaSettings, topics: str, reader: Announcements
) -> None:
    """Nonsense, an empty value and an unknown schema stop no worker; tombstones neither."""
    good = announcement(3)
    name = Topic.RELEASES.named(topics)
    announce(kafka_settings, topics, good)
    send(
        kafka_settings,
        name,
        [
            (b"live", b"\xff{", []),
            (b"live", b"", []),
            (b"live", b"{}", [("schema", b"no-such-schema/9")]),
            (b"live", b'{"channel": "moon"}', [("schema", b"\xff")]),
            (b"live", None, []),
        ],
    )

    assert reader.read_all(20) == {"live": good}


def test_what_another_trainer_has_taken_over_from_is_refused(
    kafka_settings: KafkaSettings, topics: str, reader: Announcements
) -> None:
    """Its announcement is passed over, counted, and known to hide the one that counts."""
    ours, late = announcement(1, epoch=1), announcement(2, epoch=1)
    mine = TrainerClaim(epoch=2, trainer="host:1", claimed_at=ours.announced_at)
    announce(kafka_settings, topics, ours)
    offset = claim(kafka_settings, topics, mine)
    announce(kafka_settings, topics, late)
    found = reader.read_all(20)
    hidden = set(reader.hidden)
    announce(kafka_settings, topics, announcement(3))
    reader.read_past(offset + 2, 20)

    assert found == {"live": ours}
    assert (reader.stale, hidden) == (1, {"live"})
    assert reader.fence.claim == mine
    assert (reader.last, reader.hidden) == ({"live": announcement(3)}, set())


def test_a_place_that_is_not_there_yet_is_not_waited_for_ever(reader: Announcements) -> None:
    """The topic and the place are named."""
    with pytest.raises(TryAgain, match="could not be read to offset 7 within"):
        reader.read_past(7, 0.3)


def test_newest_is_the_last_of_its_channel(
    kafka_settings: KafkaSettings, topics: str, reader: Announcements
) -> None:
    """What came since the last look; None where nothing of this channel did."""
    reader.read_all(20)
    for each in (announcement(4), announcement(5), announcement(6, "canary")):
        announce(kafka_settings, topics, each)
    found: list[ReleaseAnnouncement] = []
    deadline = time.monotonic() + 10
    while announcement(5) not in found and time.monotonic() < deadline:
        found += [event for event in [reader.newest("live", 0.5)] if event]
    rest = reader.newest("live", 0.5)

    assert found[-1] == announcement(5)
    assert rest is None


def test_a_worker_waits_for_the_first_release(
    kafka_settings: KafkaSettings, topics: str, reader: Announcements
) -> None:
    """It starts before anything was announced, and takes the release when it comes."""
    later = threading.Timer(0.5, announce, (kafka_settings, topics, announcement(7)))
    later.start()
    found = reader.wait_for("live", 20)
    later.join()

    assert announcement(7) == found


def test_a_worker_waits_for_its_own_channel_and_not_for_ever(
    kafka_settings: KafkaSettings, topics: str, reader: Announcements
) -> None:
    """Another channel's release is none of its business."""
    announce(kafka_settings, topics, announcement(8, "shadow"))
    started = time.monotonic()

    assert reader.wait_for("live", 0.5) is None
    assert 0.5 <= time.monotonic() - started < 5


def test_a_release_that_is_there_is_found_at_once(
    kafka_settings: KafkaSettings, topics: str, reader: Announcements
) -> None:
    """Without waiting: time-out 0."""
    announce(kafka_settings, topics, announcement(9))

    assert announcement(9) == reader.wait_for("live", 0)


def test_a_topic_that_cannot_be_read_in_time_is_told(kafka_node: Broker) -> None:
    """On Kafka a topic that does not exist has no end; it is named."""
    kafka = load(KafkaSettings, bootstrap_servers=kafka_node.bootstrap_servers)

    with (
        closing(Announcements(kafka, "none.")) as reader,
        pytest.raises(TryAgain, match=r"none\.releases could not be read to its end within 1 s"),
    ):
        reader.read_all(1)


def test_an_announcement_that_does_not_get_through_is_told() -> None:
    """At once: what the matter is, and that the release itself is safe."""
    with reserved_port() as port:
        kafka = load(KafkaSettings, bootstrap_servers=f"127.0.0.1:{port}")

        with pytest.raises(TryAgain, match=rf"reached at 127\.0\.0\.1:{port}.*releases promote'"):
            announce(kafka, "", announcement(0))
