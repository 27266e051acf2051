"""`roomstream audit` on real topics: whole where it is whole, and planted faults are found."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.structs import OffsetAndMetadata

from roomstream.audit import PartitionAudit, run_audit
from roomstream.brokers import Broker
from roomstream.reading import end_offsets
from runtime.kafka import admin_client, kafka_arguments
from runtime.settings import KafkaSettings, SharedSettings
from schemas.errors import TryAgain
from schemas.events import Classification, InputPosition
from schemas.topics import Topic
from tests.integration.test_command import Command
from tests.kafka_io import message, send
from tests.workers.brokers import ON_KAFKA
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


def total(audits: Sequence[PartitionAudit], count: str) -> int:
    """A count over all partitions."""
    return sum(getattr(each, count) for each in audits)


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


def shorten(kafka: KafkaSettings, ends: dict[TopicPartition, int]) -> None:
    """Be retention: delete what stands before an offset of each partition."""
    with admin_client(kafka) as admin:
        admin.delete_records(ends)


def test_it_finds_what_was_planted_and_only_that(
    roomstream: Command, kafka_settings: KafkaSettings, topics: str, broker: Broker
) -> None:
    """Whole at first; then one result is missing, one repeated and one for no listing at all."""
    assert broker
    places = send(kafka_settings, Topic.LISTINGS.named(topics), listings(80))
    answer(kafka_settings, topics, places)
    commit(kafka_settings, topics, places)
    more = send(kafka_settings, Topic.LISTINGS.named(topics), listings(40, 80))
    whole = roomstream("audit", "--since", "1h")
    answer(kafka_settings, topics, [*more[:9], *more[10:], more[3], (0, 5_000)])
    commit(kafka_settings, topics, more)
    faulty = roomstream("audit", "--json")
    table = roomstream("audit", "--since", "1h")
    recent = roomstream("audit", "--json", "--from", "2020-01-01", "--to", "2020-01-02")

    assert whole.returncode == 0, whole.stderr
    assert "Whole so far" in whole.stdout
    assert "40 listings wait for the workers." in whole.stdout
    assert faulty.returncode == table.returncode == 1
    found = {
        each["partition"]: each["examples"] for each in json.loads(faulty.stdout)["partitions"]
    }
    assert more[9][1] in found[more[9][0]]["missing"]
    assert more[3][1] in found[more[3][0]]["repeated"]
    assert found[0]["unknown"] == [5_000]
    assert sum(len(offsets) for each in found.values() for offsets in each.values()) == 3
    assert "first offsets: 5000" in table.stdout
    assert f"missing in partition {more[9][0]}, first offsets: {more[9][1]}" in table.stdout
    assert json.loads(recent.stdout)["partitions"][0]["answered"] == 0


@ON_KAFKA
def test_what_retention_deletes_is_told_apart(kafka_settings: KafkaSettings, topics: str) -> None:
    """
    A listing whose result may have gone is not missing; one that went unanswered is lost.

    Nor is all well if no worker has ever committed under the name of the group.
    """
    name, results = Topic.LISTINGS.named(topics), Topic.CLASSIFIED.named(topics)
    group = f"{topics}roomstream-workers"
    old = send(kafka_settings, name, listings(20))
    answer(kafka_settings, topics, old)
    shorten(kafka_settings, end_offsets(kafka_settings, results))
    kept = send(kafka_settings, name, listings(20, 20))
    answer(kafka_settings, topics, kept)
    new = send(kafka_settings, name, listings(20, 40))
    answer(kafka_settings, topics, new[1:])
    commit(kafka_settings, topics, [*old, *kept, *new])
    by_hand = run_audit(kafka_settings, topics, group)
    with admin_client(kafka_settings) as admin:
        limit = {"retention.bytes": str(1 << 30)}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, results, limit)])
    by_size = run_audit(kafka_settings, topics, group)
    with pytest.raises(TryAgain, match=r"mistyped has committed nothing.*WORKER_GROUP"):
        run_audit(kafka_settings, topics, "mistyped")
    unanswered = send(kafka_settings, name, listings(40, 60))
    (partition, offset) = unanswered[-1]
    shorten(kafka_settings, {TopicPartition(name, partition): offset + 1})
    late = run_audit(kafka_settings, topics, group)

    assert (total(by_hand, "missing"), total(by_hand, "expired")) == (21, 0)
    assert (total(by_size, "missing"), total(by_size, "expired")) == (1, 20)
    assert total(by_size, "answered") == 39
    assert total(late, "lost") == sum(each == partition for each, _ in unanswered)
    assert not late[partition].whole
