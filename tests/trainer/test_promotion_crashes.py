"""A trainer that is killed anywhere in a trial or a promotion ends in the same release."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from roomstream.brokers import Broker
from roomstream.live import make_live
from roomstream.reading import TopicReader
from runtime.settings import KafkaSettings, load
from runtime.topics import create_topics
from schemas.codec import decode
from schemas.events import ReleaseAnnouncement
from schemas.topics import Topic
from tests.processes import eventually
from tests.releases import tiny_release
from tests.trainer.labels import labelled
from tests.trainer.process import Deployment

ON_TRIAL = {
    "release_interval_seconds": 0,
    "promotion": "shadow",
    "promotion_margin": 0.05,
    "holdout_size": 2,  # a few labels prove the first candidate
}
KILLS = 3


@pytest.fixture
def wrong(embedded_broker: Broker, topic_prefix: str, tmp_path: Path) -> Iterator[Deployment]:
    """A deployment whose live release is always wrong."""
    kafka = load(KafkaSettings, bootstrap_servers=embedded_broker.bootstrap_servers)
    create_topics(kafka, topic_prefix, partitions=2, replication_factor=1)
    with Deployment(kafka, topic_prefix, tmp_path) as deployment:
        deployment.base(scale=-12)
        yield deployment


def announced(deployment: Deployment) -> list[ReleaseAnnouncement]:
    """All that was ever announced, in order."""
    prefix = deployment.shared.topic_prefix
    with TopicReader(deployment.kafka, prefix, Topic.RELEASES) as reader:
        events = [decode(Topic.RELEASES, r.value or b"", r.headers) for r in reader.read_to_end()]
    return [event for event in events if isinstance(event, ReleaseAnnouncement)]


def test_killed_anywhere_the_same_challenger_wins(wrong: Deployment) -> None:
    """The first release on trial is the first that becomes live, and its trial is ended."""
    base = wrong.live().release
    chance = random.Random(11)
    sent = 0
    for _ in range(KILLS):
        wrong.start(**ON_TRIAL)
        wrong.send(*(labelled(number) for number in range(sent, sent + 12)))
        sent += 12
        eventually(wrong.is_ready, "it leads")
        time.sleep(chance.uniform(0, 0.6))
        wrong.stop(signal=9)
    wrong.ready(**ON_TRIAL)
    deadline = time.monotonic() + 30
    while wrong.live().release == base and time.monotonic() < deadline:
        wrong.send(*(labelled(number) for number in range(sent, sent + 12)))
        sent += 12
        time.sleep(0.3)
    winner = wrong.live().release
    eventually(
        lambda: any(not a.share and a.release == winner for a in announced(wrong)), "the trial ends"
    )
    wrong.stop()
    trials = [event for event in announced(wrong) if event.channel == "shadow"]
    moves = [event for event in announced(wrong) if event.channel == "live"]
    chosen = next(event.release for event in moves if event.release != base)

    assert trials[0].release == chosen
    assert {event.release for event in moves} <= {event.release for event in trials} | {base}
    assert next(event for event in moves if event.release == chosen).why.startswith("promoted")


def test_a_bad_release_is_rolled_back_within_tens_of_labels(wrong: Deployment) -> None:
    """Forced live by an operator: 40 labels and 30 s are enough for the real process, which says why."""
    good = tiny_release(wrong.store, scale=12).release
    make_live(wrong.kafka, wrong.shared, good, "the good one")
    wrong.ready()
    bad = tiny_release(wrong.store, scale=-12).release
    make_live(wrong.kafka, wrong.shared, bad, "a mistake")
    eventually(
        lambda: bool(wrong.logs("somebody else made a release live")), "the mistake is taken up"
    )
    sent_at = time.monotonic()
    wrong.send(*(labelled(number) for number in range(40)))
    eventually(lambda: wrong.live().release == good, "it is rolled back")
    seconds = time.monotonic() - sent_at
    name = 'roomstream_trainer_promotions_total{outcome="rolled_back"}'
    eventually(lambda: wrong.metrics()[name] == 1, "it is counted")

    assert seconds < 30
    assert f"rolled back from {bad}, which is worse" in wrong.live().why
