"""Deletions and suspects of a real trainer: killed at any moment, and with a person at the command."""

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from roomstream.brokers import Broker
from runtime.settings import KafkaSettings, load, settings_environment
from runtime.topics import create_topics
from schemas.events import LabelledEvent
from tests.integration.commands import run
from tests.processes import eventually
from tests.releases import ROOM_TYPES
from tests.trainer.labels import deletion, labelled, learned_numbers
from tests.trainer.process import Deployment
from trainer.database import Database
from trainer.learners.base import Examples, Features
from trainer.learners.slda import StreamingLda

FAST = {
    "learner": "slda",
    "release_interval_seconds": 0,
    "first_labels_per_class": 1,
    "max_batch": 32,
    "suspect_confidence": 0.6,
}
KNOWN = range(320)
DOUBTED = learned_numbers(12, start=1_000)
DELETED = [*learned_numbers(30), DOUBTED[-1]]


@pytest.fixture
def deployment(embedded_broker: Broker, topic_prefix: str, tmp_path: Path) -> Iterator[Deployment]:
    kafka = load(KafkaSettings, bootstrap_servers=embedded_broker.bootstrap_servers)
    create_topics(kafka, topic_prefix, partitions=1, replication_factor=1)
    with Deployment(kafka, topic_prefix, tmp_path) as deployment:
        deployment.base()
        yield deployment


def wrong(number: int) -> LabelledEvent:
    event = labelled(number)
    label = next(name for name in ROOM_TYPES if name != event.label)
    return msgspec.structs.replace(event, label=label)


def handled(deployment: Deployment) -> int:
    """How many messages the database has taken in, whichever trainer wrote it."""
    if not deployment.database.exists():
        return 0
    with Database(deployment.database) as database:
        return sum(part.next - part.first for part in database.ranges())


def test_killed_anywhere_what_was_deleted_is_gone(deployment: Deployment) -> None:
    """Each label is taken in once, or not at all if deleted first; the learner is that of those left."""
    chance = random.Random(3)
    labels = [*map(labelled, KNOWN), *map(wrong, DOUBTED)]
    deployment.send(*labels)
    for kills in range(4):
        deployment.start(**FAST)
        if kills == 1:
            deployment.send(*map(deletion, DELETED))
        eventually(deployment.is_ready, "it leads")
        time.sleep(chance.uniform(0, 0.4))
        deployment.stop(signal=9)
    deployment.ready(**FAST)
    total = len(labels) + len(DELETED)
    eventually(lambda: handled(deployment) == total, "all is handled")
    without = _deleted(deployment)
    code = deployment.stop()
    with Database(deployment.database) as database:
        events = database._rows(
            "SELECT event_id FROM labels UNION ALL SELECT event_id FROM suspects"
        )
        taught = database._rows("SELECT label, features FROM labels JOIN taught USING (seq)")
        state, suspects = database.learner_state(), database.suspects.all()
        named = database._rows("SELECT listing_id FROM labels WHERE listing_id IS NOT NULL")
    learner, found = StreamingLda(), StreamingLda.from_state(state)
    for label in ROOM_TYPES:
        learner.add_class(label)
    features = np.stack([np.frombuffer(row[1], np.float32) for row in taught])
    learner.learn(Examples(features, [[]] * len(taught)), [row[0] for row in taught])
    gone = {f"l-{number}" for number in DELETED}

    assert code == 0
    assert len(events) == len(set(events))
    assert {(event.event_id,) for event in labels if event.listing_id not in gone} <= set(events)
    assert len(suspects) == len(DOUBTED) - 1
    assert not gone & {row[0] for row in named}
    assert len(without) == len(set(without)) == len(events) - len(named) - len(suspects)
    np.testing.assert_allclose(
        found.logits(_probe(features)), learner.logits(_probe(features)), 1e-6
    )
    assert found.prior() == learner.prior()


def _deleted(deployment: Deployment) -> list[int]:
    """The offsets of what all releases together say that they are the first ones without."""

    def said() -> list[int]:
        manifests = map(deployment.store.manifest, deployment.store.releases())
        parts = [part for each in manifests for part in each.lineage.deleted_since]
        return [offset for part in parts for offset in part.offsets]

    with Database(deployment.database) as database:
        expected = database.learned_and_deleted()
    eventually(lambda: len(said()) >= expected, "a release without")
    return said()


def _probe(features: Features) -> Examples:
    return Examples(features, [[]] * len(features))


def test_an_operator_decides_beside_a_running_trainer(deployment: Deployment) -> None:
    """What is listed is accepted or rejected by its event id; what is unknown is named, nothing sent."""
    deployment.ready(**FAST)
    deployment.send(*map(labelled, KNOWN))
    eventually(lambda: handled(deployment) == len(KNOWN), "the rooms are known")
    deployment.send(*map(wrong, DOUBTED[:3]))
    eventually(lambda: handled(deployment) == len(KNOWN) + 3, "the wrong ones are handled")
    environment = {
        **settings_environment(deployment.kafka),
        "ROOMSTREAM_TOPIC_PREFIX": deployment.shared.topic_prefix,
        "TRAINER_DATABASE": str(deployment.database),
    }
    listed = json.loads(run(environment, "labels", "suspects", "--json").stdout)
    table = run(environment, "labels", "suspects").stdout
    unknown = run(environment, "labels", "accept", listed[0]["event_id"], "e-none")
    accept = run(environment, "labels", "accept", listed[0]["event_id"])
    reject = run(environment, "labels", "reject", *(each["event_id"] for each in listed[1:]))
    eventually(lambda: handled(deployment) == len(KNOWN) + 6, "the verdicts are handled")
    with Database(deployment.database) as database:
        left = database.suspects.all()
        labels = database._rows(
            "SELECT label FROM labels WHERE listing_id = ?", listed[0]["listing_id"]
        )

    assert [each["listing_id"] for each in listed] == [f"l-{number}" for number in DOUBTED[:3]]
    assert all(each["said"] == labelled(n).label for each, n in zip(listed, DOUBTED, strict=False))
    assert all(wrong(number).title in table for number in DOUBTED[:3])
    assert unknown.returncode == 2
    assert "e-none" in unknown.stderr
    assert (accept.returncode, reject.returncode) == (0, 0), accept.stderr + reject.stderr
    assert left == []
    assert labels == [(wrong(DOUBTED[0]).label,)] * 2


def test_the_command_needs_a_database(tmp_path: Path) -> None:
    """It says where to run it, and makes no file."""
    done = run({"TRAINER_DATABASE": str(tmp_path / "none.sqlite")}, "labels", "suspects")

    assert done.returncode == 2
    assert "trainer's machine" in done.stderr
    assert not (tmp_path / "none.sqlite").exists()
