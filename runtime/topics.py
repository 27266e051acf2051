"""The topics of `schemas.topics` on a real broker: create, describe, require."""

import time
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, TopicAlreadyExistsError

from runtime.kafka import admin_client
from runtime.settings import KafkaSettings
from schemas.errors import ConfigurationError, TryAgain
from schemas.topics import TOPICS, Topic, TopicSpec

_VISIBLE_WITHIN_SECONDS = 15


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
        created: It was made by this call.
    """

    name: str
    spec: TopicSpec
    partitions: int
    replication_factor: int
    differs: tuple[str, ...] = ()
    created: bool = False


def wanted_settings(spec: TopicSpec) -> dict[str, str]:
    """Kafka's settings for a topic."""
    if spec.compacted:
        return {"cleanup.policy": "compact"}
    return {"cleanup.policy": "delete", "retention.ms": str(spec.retention_ms)}


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
        existing = set(_partitions(admin))
        missing = [spec for spec in TOPICS if spec.topic.named(prefix) not in existing]
        for spec in missing:
            _create(admin, spec, prefix, spec.partitions or partitions, replication_factor)
        _wait_for({spec.topic.named(prefix) for spec in TOPICS}, admin)
        return _statuses(admin, prefix, {spec.topic for spec in missing})


def describe_topics(settings: KafkaSettings, prefix: str) -> list[TopicStatus]:
    """
    What the broker has of every topic of the table.

    Raises:
        TryAgain: The broker cannot be reached.
    """
    with admin_client(settings) as admin:
        return _statuses(admin, prefix, created=set())


def require_topics(settings: KafkaSettings, prefix: str) -> None:
    """
    Check that every topic is there.

    Raises:
        ConfigurationError: Names those that are missing.
        TryAgain: The broker cannot be reached.
    """
    with admin_client(settings) as admin:
        existing = set(_partitions(admin))
    missing = [
        spec.topic.named(prefix) for spec in TOPICS if spec.topic.named(prefix) not in existing
    ]
    if missing:
        raise ConfigurationError(
            f"Kafka at {settings.bootstrap_servers} has no topic {', '.join(missing)}. Run "
            "'roomstream topics create', or set ROOMSTREAM_TOPIC_PREFIX to the prefix of yours."
        )


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
    except KafkaError as error:
        raise ConfigurationError(
            f"Kafka refuses to create the topic {name} with {partitions} partitions and "
            f"{replication_factor} copies: {error}. Choose other numbers with --partitions and "
            "--replication-factor."
        ) from error


def _wait_for(names: set[str], admin: KafkaAdminClient) -> None:
    deadline = time.monotonic() + _VISIBLE_WITHIN_SECONDS
    while missing := names - set(_partitions(admin)):
        if time.monotonic() > deadline:
            raise TryAgain(
                f"Kafka accepted the topics {', '.join(sorted(missing))} but does not show them "
                f"after {_VISIBLE_WITHIN_SECONDS} s. Run the command again."
            )
        time.sleep(0.1)


def _partitions(admin: KafkaAdminClient) -> dict[str, list[dict[str, Any]]]:
    return {topic["name"]: topic["partitions"] for topic in admin.describe_topics()}


def _statuses(admin: KafkaAdminClient, prefix: str, created: set[Topic]) -> list[TopicStatus]:
    existing = _partitions(admin)
    statuses = []
    for spec in TOPICS:
        name = spec.topic.named(prefix)
        partitions = existing.get(name, [])
        if partitions:
            copies = len(partitions[0]["replica_nodes"])
            differs = _differences(admin, spec, name, len(partitions))
        else:
            copies, differs = 0, ()
        statuses.append(
            TopicStatus(name, spec, len(partitions), copies, differs, spec.topic in created)
        )
    return statuses


def _differences(
    admin: KafkaAdminClient, spec: TopicSpec, name: str, partitions: int
) -> tuple[str, ...]:
    resource = ConfigResource(ConfigResourceType.TOPIC, name)
    found = admin.describe_configs([resource], config_filter="all").get("topic", {}).get(name, {})
    differs = [
        f"{key} is {found[key]['value']}, should be {value}"
        for key, value in wanted_settings(spec).items()
        if key in found and found[key]["value"] != value
    ]
    if spec.partitions is not None and partitions != spec.partitions:
        differs.append(f"has {partitions} partitions, should have {spec.partitions}")
    return tuple(differs)
