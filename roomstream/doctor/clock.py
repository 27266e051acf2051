"""How far this machine's clock is from the brokers'."""

import time
import uuid
from collections.abc import Iterator

from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import KafkaError

from roomstream.doctor.findings import Deployment, Finding
from runtime.denials import denied_code
from runtime.kafka import admin_client, close_producer, kafka_arguments

_SKEW_SECONDS, _WRONG_SECONDS = 1.0, 60.0
_KNOCKS = 3
_VISIBLE_WITHIN_SECONDS = 5
_NEVER_MS = 1
"""The time that we put on messages: brokers that keep it have no time of their own."""
_BY_HAND = "On this machine and the brokers', see that the clock is synchronised: timedatectl."


def clock(deployment: Deployment) -> Iterator[Finding]:
    """
    Ask a broker for its time: it stamps messages of a topic that is made for this and deleted.

    Kafka has no other question for the time.
    """
    topic = f"{deployment.shared.topic_prefix}roomstream-doctor-{uuid.uuid4().hex[:8]}"
    with admin_client(deployment.kafka) as admin:
        try:
            yield _measured(deployment, admin, topic)
        except KafkaError as error:
            yield Finding(
                "clock",
                "warning",
                f"It could not be compared with a broker's: {error}.",
                "Let this user create topics named roomstream-doctor-…: see deploy/acls.sh."
                if denied_code(error)
                else f"Run this again when the brokers answer. {_BY_HAND}",
            )


def _measured(deployment: Deployment, admin: KafkaAdminClient, topic: str) -> Finding:
    admin.create_topics(
        {
            topic: {
                "num_partitions": 1,
                "replication_factor": 1,
                "configs": {"message.timestamp.type": "LogAppendTime"},
            }
        }
    )
    try:
        _wait_for(admin, topic)
        ahead = _broker_ahead(deployment, topic)
    finally:
        admin.delete_topics([topic])
    if ahead is None:
        return Finding("clock", "warning", "This broker does not tell its time.", _BY_HAND)
    return judge(*ahead)


def judge(ahead_seconds: float, unsure_seconds: float) -> Finding:
    """Judge a difference that is known within some bounds."""
    off = abs(ahead_seconds) - unsure_seconds
    direction = "behind" if ahead_seconds > 0 else "ahead of"
    says = f"This machine is {abs(ahead_seconds):.2f} s {direction} the broker (± {unsure_seconds:.2f})."
    if off <= _SKEW_SECONDS:
        return Finding("clock", "ok", says)
    return Finding(
        "clock",
        "failed" if off > _WRONG_SECONDS else "warning",
        says,
        "Synchronise the clocks of both (NTP): times in results and certificates depend on them.",
    )


def _broker_ahead(deployment: Deployment, topic: str) -> tuple[float, float] | None:
    """By how much, and how sure that is: the quickest of a few messages bounds it best."""
    producer = KafkaProducer(
        **kafka_arguments(deployment.kafka), enable_idempotence=False, max_block_ms=5000
    )
    readings = []
    try:
        for _ in range(_KNOCKS):
            before = time.time()
            stamp_ms = producer.send(topic, b"doctor", timestamp_ms=_NEVER_MS).get(5).timestamp
            after = time.time()
            if stamp_ms in (None, -1, _NEVER_MS):
                return None
            readings.append((stamp_ms / 1000 - (before + after) / 2, (after - before) / 2))
    finally:
        close_producer(producer)
    return min(readings, key=lambda reading: reading[1])


def _wait_for(admin: KafkaAdminClient, topic: str) -> None:
    deadline = time.monotonic() + _VISIBLE_WITHIN_SECONDS
    while admin.describe_topics([topic])[0]["error_code"] and time.monotonic() < deadline:
        time.sleep(0.1)
