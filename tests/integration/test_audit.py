"""`roomstream audit` on real topics: whole where it is whole, and planted faults are found."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.structs import OffsetAndMetadata

from roomstream.brokers import Broker
from runtime.kafka import kafka_arguments
from runtime.settings import KafkaSettings, SharedSettings
from schemas.events import Classification, InputPosition
from schemas.topics import Topic
from tests.integration.test_command import Command
from tests.kafka_io import message, send
from tests.workers.listings import listings

Place = tuple[int, int]


@pytest.fixture
def roomstream(kafka_settings: KafkaSettings, topics: str, tmp_path: object) -> Command:
    """The command on topics of this test."""
    return Command(kafka_settings, SharedSettings(store=f"file://{tmp_path}", topic_prefix=topics))


def answer(kafka: KafkaSettings, prefix: str, places: Sequence[Place]) -> None:
    """Be the workers: write an answer for each place."""
    at = datetime.now(UTC)
    answers = [
        Classification(
            event_id="e",
            listing_id="l",
            label="Private room",
            scores={"Private room": 1.0},
            confidence=1.0,
            needs_review=False,
            release="r",
            input=InputPosition(
                topic=Topic.LISTINGS.named(prefix), partition=partition, offset=offset
            ),
            classified_at=at,
        )
        for partition, offset in places
    ]
    send(kafka, Topic.CLASSIFIED.named(prefix), [message(each, "l") for each in answers])


def commit(kafka: KafkaSettings, prefix: str, places: Sequence[Place]) -> None:
    """Be the workers: say that these were handled."""
    name = Topic.LISTINGS.named(prefix)
    following: dict[int, int] = {}
    for partition, offset in places:
        following[partition] = max(offset + 1, following.get(partition, 0))
    consumer = KafkaConsumer(**kafka_arguments(kafka), group_id=f"{prefix}roomstream-workers")
    consumer.assign([TopicPartition(name, partition) for partition in following])
    consumer.commit(
        {
            TopicPartition(name, partition): OffsetAndMetadata(offset, "", -1)
            for partition, offset in following.items()
        }
    )
    consumer.close()


def test_it_finds_what_was_planted_and_only_that(
    roomstream: Command, kafka_settings: KafkaSettings, topics: str, broker: Broker
) -> None:
    """Whole at first; then one result is missing, one repeated and one for no listing at all."""
    assert broker
    places = send(kafka_settings, Topic.LISTINGS.named(topics), listings(80))
    answer(kafka_settings, topics, places)
    commit(kafka_settings, topics, places)
    whole = roomstream("audit", "--json")
    more = send(kafka_settings, Topic.LISTINGS.named(topics), listings(40, 80))
    answer(kafka_settings, topics, [*more[:9], *more[10:], more[3], (0, 5_000)])
    waiting = roomstream("audit", "--json")
    commit(kafka_settings, topics, more)
    faulty = roomstream("audit", "--json")
    table = roomstream("audit")
    recent = roomstream("audit", "--json", "--to", "2020-01-01")

    assert whole.returncode == 0, whole.stderr
    assert sum(each["answered"] for each in json.loads(whole.stdout)["partitions"]) == 80
    assert waiting.returncode == 1
    assert sum(each["waiting"] for each in json.loads(waiting.stdout)["partitions"]) <= 1
    assert faulty.returncode == 1
    found = {
        each["partition"]: each["examples"] for each in json.loads(faulty.stdout)["partitions"]
    }
    assert more[9][1] in found[more[9][0]]["missing"]
    assert more[3][1] in found[more[3][0]]["repeated"]
    assert found[0]["unknown"] == [5_000]
    assert sum(len(offsets) for each in found.values() for offsets in each.values()) == 3
    assert "first offsets: 5000" in table.stdout
    assert json.loads(recent.stdout)["partitions"][0]["answered"] == 0
