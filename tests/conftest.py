"""Brokers and clean surroundings for all tests."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import trustme

from roomstream.brokers import Broker, EmbeddedBroker, KafkaNode
from runtime.settings import KafkaSettings, load
from runtime.topics import create_topics
from tests.secured_kafka import SecuredKafka

_SHARED_KAFKA = Path(__file__).resolve().parents[2] / "shared" / "kafka"
_OURS = ("KAFKA_", "ROOMSTREAM_", "WORKER_", "TRAINER_")
KAFKA_HOME = Path(os.environ.get("KAFKA_HOME") or _SHARED_KAFKA)

# A machine that is busy is no failure; pytest's own timeout ends what hangs.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture(autouse=True)
def _clean_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the developer's shell reaches a test, and no test writes to their home."""
    for name in list(os.environ):
        if name.startswith(_OURS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator[Broker]:
    """The broker of the demo."""
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture(scope="session")
def kafka_node() -> Iterator[Broker]:
    """One node of Apache Kafka."""
    if not KAFKA_HOME.is_dir():
        pytest.skip("no Apache Kafka: set KAFKA_HOME to an unpacked Kafka of 3.9 or later")
    with KafkaNode(KAFKA_HOME) as broker:
        yield broker


@pytest.fixture(scope="session")
def secured_kafka() -> Iterator[SecuredKafka]:
    """One node of Apache Kafka with users and access control."""
    if not KAFKA_HOME.is_dir():
        pytest.skip("no Apache Kafka: set KAFKA_HOME to an unpacked Kafka of 3.9 or later")
    with SecuredKafka(KAFKA_HOME, trustme.CA()) as node:
        yield node


@pytest.fixture(params=["embedded_broker", "kafka_node"], ids=["embedded", "kafka"])
def broker(request: pytest.FixtureRequest) -> Broker:
    """Each broker in turn: a test that takes this runs on both."""
    found: Broker = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def topic_prefix() -> str:
    """Topics of this test alone, so that tests share a broker."""
    return f"t{uuid.uuid4().hex[:8]}."


@pytest.fixture
def kafka_settings(broker: Broker) -> KafkaSettings:
    """How to reach the broker."""
    return load(KafkaSettings, bootstrap_servers=broker.bootstrap_servers)


@pytest.fixture
def topics(kafka_settings: KafkaSettings, topic_prefix: str) -> str:
    """Create all topics with four partitions, and return their prefix."""
    create_topics(kafka_settings, topic_prefix, partitions=4, replication_factor=1)
    return topic_prefix
