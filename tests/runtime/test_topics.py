"""The table of topics on real brokers: created, described, required."""

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from roomstream.brokers import Broker
from roomstream.ports import reserved_port
from runtime.kafka import kafka_arguments
from runtime.permissions import Access, require_access
from runtime.settings import KafkaSettings, load
from runtime.topics import create_topics, describe_topics, wanted_settings
from schemas.errors import ConfigurationError, TryAgain
from schemas.topics import DAY_MS, FOREVER_MS, TOPICS, Topic

EVERY_TOPIC = Access("the test", dict.fromkeys(Topic, ("Read", "Write")))


def test_missing_topics_are_created_as_the_table_says(
    kafka_settings: KafkaSettings, topic_prefix: str
) -> None:
    """Each with its own partitions, or those of the deployment; a second call creates nothing."""
    made = create_topics(kafka_settings, topic_prefix, partitions=3, replication_factor=1)
    again = create_topics(kafka_settings, topic_prefix, partitions=5, replication_factor=1)

    assert [(topic_prefix + spec.topic, spec.partitions or 3, 1, ()) for spec in TOPICS] == [
        (topic.name, topic.partitions, topic.replication_factor, topic.differs) for topic in made
    ]
    assert ({True}, {False}) == ({t.created for t in made}, {t.created for t in again})
    assert [t.partitions for t in made] == [t.partitions for t in again]


def test_only_what_is_missing_is_created(kafka_settings: KafkaSettings, topic_prefix: str) -> None:
    """What somebody made before stays as it is, and what differs from the table is told."""
    with KafkaAdminClient(**kafka_arguments(kafka_settings)) as admin:
        admin.create_topics(
            {Topic.RELEASES.named(topic_prefix): {"num_partitions": 2, "replication_factor": 1}}
        )
    statuses = create_topics(kafka_settings, topic_prefix, 1, 1)
    (releases,) = [status for status in statuses if status.spec.topic == Topic.RELEASES]

    assert not releases.created
    assert releases.partitions == 2
    assert "has 2 partitions, should have 1" in releases.differs
    assert all(status.created for status in statuses if status is not releases)


def test_settings_that_differ_are_told(kafka_node: Broker, topic_prefix: str) -> None:
    """What is set, and what it should be."""
    kafka = load(KafkaSettings, bootstrap_servers=kafka_node.bootstrap_servers)
    create_topics(kafka, topic_prefix, 1, 1)
    name = Topic.DELETIONS.named(topic_prefix)
    with KafkaAdminClient(**kafka_arguments(kafka)) as admin:
        admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, name, {"retention.ms": "1000"})]
        )
    differs = {status.name: status.differs for status in describe_topics(kafka, topic_prefix)}

    assert differs.pop(name) == (f"retention.ms is 1000, should be {FOREVER_MS}",)
    assert set(differs.values()) == {()}


def test_topics_that_are_not_there_are_described_so(
    kafka_settings: KafkaSettings, topic_prefix: str
) -> None:
    """Neither partitions nor copies, and nothing is created by asking."""
    for _ in range(2):
        found = describe_topics(kafka_settings, topic_prefix)

        assert {(0, 0, (), False)} == {
            (topic.partitions, topic.replication_factor, topic.differs, topic.created)
            for topic in found
        }


def test_missing_topics_are_named(kafka_settings: KafkaSettings, topic_prefix: str) -> None:
    """All of them, the command that makes them, and the prefix, which may be wrong."""
    with pytest.raises(ConfigurationError) as raised:
        require_access(kafka_settings, topic_prefix, EVERY_TOPIC)
    message = str(raised.value)

    assert all(spec.topic.named(topic_prefix) in message for spec in TOPICS)
    assert "roomstream topics create" in message
    assert "ROOMSTREAM_TOPIC_PREFIX" in message


def test_topics_that_are_there_satisfy(kafka_settings: KafkaSettings, topics: str) -> None:
    """No error once they were created."""
    require_access(kafka_settings, topics, EVERY_TOPIC)

    assert all(status.partitions for status in describe_topics(kafka_settings, topics))


@pytest.mark.parametrize(("partitions", "copies"), [(1, 3), (0, 1)])
def test_what_kafka_refuses_is_told(
    kafka_node: Broker, topic_prefix: str, partitions: int, copies: int
) -> None:
    """More copies than brokers, or no partition: the options to change are named."""
    kafka = load(KafkaSettings, bootstrap_servers=kafka_node.bootstrap_servers)

    with pytest.raises(ConfigurationError, match=r"--partitions and --replication-factor") as told:
        create_topics(kafka, topic_prefix, partitions, copies)
    assert f"with {partitions} partitions and {copies} copies" in str(told.value)


def test_a_broker_that_is_down_is_named() -> None:
    """By every question about topics."""
    with reserved_port() as port:
        kafka = load(KafkaSettings, bootstrap_servers=f"127.0.0.1:{port}")
        with pytest.raises(TryAgain, match=kafka.bootstrap_servers):
            describe_topics(kafka, "")
        with pytest.raises(TryAgain, match=kafka.bootstrap_servers):
            require_access(kafka, "", EVERY_TOPIC)


def test_a_topic_is_either_compacted_or_kept_for_a_time() -> None:
    """Releases are compacted, labels kept for ever, listings go day by day."""
    wanted = {spec.topic: wanted_settings(spec) for spec in TOPICS}

    assert wanted[Topic.RELEASES] == {"cleanup.policy": "compact"}
    assert wanted[Topic.LABELLED] == {"cleanup.policy": "delete", "retention.ms": "-1"}
    assert wanted[Topic.LISTINGS]["segment.ms"] == str(DAY_MS)
