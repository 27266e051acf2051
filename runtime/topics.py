"""The topics of `schemas.topics` on a real broker: create, describe."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, TopicAlreadyExistsError, TopicAuthorizationFailedError
from kafka.protocol.metadata import MetadataRequest

from runtime.denials import Lack, denial
from runtime.kafka import admin_client
from runtime.settings import KafkaSettings
from schemas.errors import ConfigurationError, TryAgain
from schemas.topics import DAY_MS, FOREVER_MS, TOPICS, Topic, TopicSpec

_VISIBLE_WITHIN_SECONDS = 15
_LEAST_COPIES = "min.insync.replicas"
_UNAUTHORISED = TopicAuthorizationFailedError.errno


@dataclass(frozen=True)
class TopicStatus:
    """
    A topic as the broker has it.

    Attributes:
        name: Its name on the broker.
        spec: What it should be.
        partitions: How many it has; 0 where it does not exist.
        replication_factor: How many copies of each partition.
        differs: The settings that are not as the table says, in words.
        lacks: What this user may not do, so that more is not known: `Describe` or `DescribeConfigs`.
        created: It was made by this call.
        least_copies: Its min.insync.replicas, if the broker says.
    """

    name: str
    spec: TopicSpec
    partitions: int
    replication_factor: int
    differs: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    created: bool = False
    least_copies: str | None = None


def wanted_settings(spec: TopicSpec) -> dict[str, str]:
    """Kafka's settings for a topic."""
    if spec.compacted:
        return {"cleanup.policy": "compact"}
    kept = {"cleanup.policy": "delete", "retention.ms": str(spec.retention_ms)}
    if spec.retention_ms != FOREVER_MS:
        kept["segment.ms"] = str(DAY_MS)  # what is older is deleted by the segment
    return kept


def create_topics(
    settings: KafkaSettings, prefix: str, partitions: int, replication_factor: int
) -> list[TopicStatus]:
    """
    Make the topics that are missing, and wait until the broker shows them all.

    Args:
        settings: How to reach Kafka.
        prefix: Put before every name.
        partitions: Of the topics whose number the deployment chooses.
        replication_factor: Copies of each partition.

    Raises:
        ConfigurationError: The broker refuses a topic, such as more copies than brokers.
        TryAgain: The broker cannot be reached.
    """
    with admin_client(settings) as admin:
        existing = set(_found(admin, prefix))
        missing = [spec for spec in TOPICS if spec.topic.named(prefix) not in existing]
        try:
            for spec in missing:
                _create(admin, spec, prefix, spec.partitions or partitions, replication_factor)
        except TopicAuthorizationFailedError as error:
            lacks = [Lack("Create", "topic", spec.topic.named(prefix)) for spec in missing]
            raise ConfigurationError(denial(settings, "this command", lacks)) from error
        _wait_until_visible(admin, prefix)
        return _statuses(admin, prefix, {spec.topic for spec in missing})


def describe_topics(settings: KafkaSettings, prefix: str) -> list[TopicStatus]:
    """
    What the broker has of every topic of the table.

    Raises:
        TryAgain: The broker cannot be reached.
    """
    with admin_client(settings) as admin:
        return _statuses(admin, prefix, created=set())


def _create(
    admin: KafkaAdminClient, spec: TopicSpec, prefix: str, partitions: int, replication_factor: int
) -> None:
    name = spec.topic.named(prefix)
    topic = {
        name: {
            "num_partitions": partitions,
            "replication_factor": replication_factor,
            "configs": wanted_settings(spec),
        }
    }
    try:
        admin.create_topics(topic)
    except TopicAlreadyExistsError:
        return  # somebody else was faster
    except TopicAuthorizationFailedError:
        raise
    except KafkaError as error:
        raise ConfigurationError(
            f"Kafka refuses to create the topic {name} with {partitions} partitions and "
            f"{replication_factor} copies: {error}. Choose other numbers with --partitions and "
            "--replication-factor."
        ) from error


def _wait_until_visible(admin: KafkaAdminClient, prefix: str) -> None:
    """Wait until all brokers know: each learns by itself, and the next question may go to any."""
    names = {spec.topic.named(prefix) for spec in TOPICS}
    cluster = admin.describe_cluster()["brokers"]
    brokers = [broker["broker_id"] for broker in cluster if not broker.get("is_fenced")]
    deadline = time.monotonic() + _VISIBLE_WITHIN_SECONDS
    while missing := {name for broker in brokers for name in names - _known(admin, names, broker)}:
        if time.monotonic() > deadline:
            raise TryAgain(
                f"Kafka accepted the topics {', '.join(sorted(missing))} but not all brokers show them "
                f"after {_VISIBLE_WITHIN_SECONDS} s. Run the command again."
            )
        time.sleep(0.1)


def _known(admin: KafkaAdminClient, names: Iterable[str], broker: int) -> set[str]:
    """Those of some topics that a broker knows; kafka-python asks any broker, this one asks that."""
    wanted = [MetadataRequest.MetadataRequestTopic(name=name) for name in names]
    request = MetadataRequest(topics=wanted, allow_auto_topic_creation=False)

    async def ask() -> Any:
        return await admin._manager.send(request, node_id=broker)

    response = admin._manager.run(ask)
    return {topic.name for topic in response.topics if topic.error_code in (0, _UNAUTHORISED)}


def _found(admin: KafkaAdminClient, prefix: str) -> dict[str, dict[str, Any]]:
    """The topics that exist, and those that this user may not see."""
    found = admin.describe_topics([spec.topic.named(prefix) for spec in TOPICS])
    return {topic["name"]: topic for topic in found if topic["error_code"] in (0, _UNAUTHORISED)}


def _statuses(admin: KafkaAdminClient, prefix: str, created: set[Topic]) -> list[TopicStatus]:
    existing = _found(admin, prefix)
    statuses = []
    for spec in TOPICS:
        name = spec.topic.named(prefix)
        topic = existing.get(name)
        if topic is None:
            statuses.append(TopicStatus(name, spec, 0, 0))
        elif topic["error_code"]:
            statuses.append(TopicStatus(name, spec, 0, 0, lacks=("Describe",)))
        else:
            statuses.append(_status(admin, spec, topic, spec.topic in created))
    return statuses


def _status(
    admin: KafkaAdminClient, spec: TopicSpec, topic: Mapping[str, Any], created: bool
) -> TopicStatus:
    name, partitions, allowed = topic["name"], topic["partitions"], topic["authorized_operations"]
    # What may not be read is silently empty; brokers that do not tell allow it.
    lacks = ("DescribeConfigs",) if allowed and "DESCRIBE_CONFIGS" not in allowed else ()
    found = admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name)], config_filter="all"
    )
    values = {key: each["value"] for key, each in found.get("topic", {}).get(name, {}).items()}
    return TopicStatus(
        name,
        spec,
        len(partitions),
        len(partitions[0]["replica_nodes"]),
        _differences(spec, values, len(partitions)),
        lacks,
        created,
        values.get(_LEAST_COPIES),
    )


def _differences(spec: TopicSpec, values: Mapping[str, str], partitions: int) -> tuple[str, ...]:
    differs = [
        f"{key} is {values[key]}, should be {value}"
        for key, value in wanted_settings(spec).items()
        if key in values and values[key] != value
    ]
    if spec.partitions is not None and partitions != spec.partitions:
        differs.append(f"has {partitions} partitions, should have {spec.partitions}")
    return tuple(differs)
