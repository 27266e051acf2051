"""Where a demo takes place: its own topics on whatever Kafka there is, and nothing left behind."""

import os
from pathlib import Path

import pytest

from roomstream.brokers import Broker
from roomstream.demo.options import DemoOptions
from roomstream.demo.stage import open_stage
from runtime.settings import KafkaSettings
from runtime.topics import describe_topics
from schemas.errors import ConfigurationError, TryAgain
from tests.conftest import KAFKA_HOME


def test_somebody_elses_kafka_is_left_as_it_was(
    broker: Broker, kafka_settings: KafkaSettings
) -> None:
    """The demo's topics carry a prefix of their own and go when it does, as its folder does."""
    with open_stage(DemoOptions(bootstrap_servers=broker.bootstrap_servers)) as stage:
        assert all(topic.partitions for topic in describe_topics(kafka_settings, stage.prefix))
        assert stage.folder.is_dir()

    assert not any(topic.partitions for topic in describe_topics(kafka_settings, stage.prefix))
    assert not stage.folder.exists()


def test_kafka_home_brings_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """With KAFKA_HOME set the demo runs on Apache Kafka, which says -1 for a group unheard of."""
    if not KAFKA_HOME.is_dir():
        pytest.skip("no Apache Kafka: set KAFKA_HOME to an unpacked Kafka of 3.9 or later")
    monkeypatch.setenv("KAFKA_HOME", str(KAFKA_HOME))
    with open_stage(DemoOptions()) as stage:
        assert all(topic.partitions for topic in describe_topics(stage.kafka, stage.prefix))


def test_the_users_settings_do_not_reach_the_demos_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They describe another deployment; they are back when the demo has ended."""
    monkeypatch.setenv("WORKER_PROCESSES", "9")
    monkeypatch.setenv("KAFKA_SASL_USERNAME", "somebody")
    with open_stage(DemoOptions()) as stage:
        environment = os.environ | stage.environment(WORKER_SLOT="worker-0")

        assert "WORKER_PROCESSES" not in environment
        assert "KAFKA_SASL_USERNAME" not in environment
        assert environment["KAFKA_BOOTSTRAP_SERVERS"] == stage.kafka.bootstrap_servers
        assert environment["ROOMSTREAM_TOPIC_PREFIX"] == stage.prefix
        assert environment["WORKER_SLOT"] == "worker-0"
    assert os.environ["WORKER_PROCESSES"] == "9"


def test_a_kept_stage_stays(broker: Broker, kafka_settings: KafkaSettings) -> None:
    """With --keep its folder and its topics can be looked at afterwards."""
    options = DemoOptions(bootstrap_servers=broker.bootstrap_servers, keep=True)
    with open_stage(options) as stage:
        stage.log("worker-0").write_text("it said this")

    assert stage.log("worker-0").read_text() == "it said this"
    assert all(topic.partitions for topic in describe_topics(kafka_settings, stage.prefix))


def test_a_wrong_address_is_told_before_anything_starts() -> None:
    """The message names the address."""
    with (
        pytest.raises(TryAgain, match=r"127\.0\.0\.1:9\b"),
        open_stage(DemoOptions(bootstrap_servers="127.0.0.1:9")),
    ):
        pass


def test_a_kafka_home_without_kafka_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The variable is named."""
    monkeypatch.setenv("KAFKA_HOME", str(tmp_path))

    with pytest.raises(ConfigurationError, match="KAFKA_HOME"), open_stage(DemoOptions()):
        pass


@pytest.fixture(autouse=True)
def _working_folders_in_the_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
