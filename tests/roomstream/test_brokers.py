"""Brokers of this machine: they answer, stay on their port, and leave nothing behind."""

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient

from roomstream.brokers import Broker, EmbeddedBroker, KafkaNode
from schemas.errors import ConfigurationError, TryAgain
from tests.conftest import KAFKA_HOME
from tests.processes import gone, said, start, within


class Failing(Broker):
    """Says something and ends."""

    def _command(self) -> list[str]:
        return ["sh", "-c", "echo first; echo the disk is full >&2; exit 1"]


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Where these brokers keep their data."""
    folder = tmp_path / "brokers"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    monkeypatch.undo()


def answers(broker: Broker) -> bool:
    KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers, bootstrap_timeout_ms=5000).close()
    return True


def test_a_broker_answers_inside_its_context_only(folder: Path) -> None:
    """Afterwards neither its process nor its folder is there."""
    with EmbeddedBroker() as broker:
        pid = broker.pid
        assert answers(broker)
        assert len(list(folder.iterdir())) == 1

    assert gone(pid)
    assert list(folder.iterdir()) == []


def test_a_broker_comes_back_on_its_port() -> None:
    """Clients that know its address find it again after a stop."""
    with EmbeddedBroker() as broker:
        address, first = broker.bootstrap_servers, broker.pid
        broker.stop()
        broker.start()

        assert answers(broker)
        assert (address, True) == (broker.bootstrap_servers, first != broker.pid)


def test_a_killed_broker_is_cleaned_up(folder: Path) -> None:
    """Leaving the context after a crash is no error."""
    with EmbeddedBroker() as broker:
        os.kill(broker.pid, signal.SIGKILL)
        assert within(5, lambda: gone(broker.pid))

    assert list(folder.iterdir()) == []


def test_brokers_live_side_by_side() -> None:
    """Each has its own port, so that tests and a demo can run at once."""
    with EmbeddedBroker() as one, EmbeddedBroker() as other:
        assert answers(one)
        assert answers(other)
        assert one.bootstrap_servers != other.bootstrap_servers


def test_a_broker_that_cannot_start_says_why(folder: Path) -> None:
    """The end of its log is in the message, and nothing is left behind."""
    with (
        pytest.raises(TryAgain, match=r"Failing did not start\..* log:\nfirst\nthe disk is full"),
        Failing(),
    ):
        pass

    assert list(folder.iterdir()) == []


def test_a_broker_that_was_not_entered_has_no_process(folder: Path) -> None:
    """It is a context manager and says so."""
    with pytest.raises(RuntimeError, match="context manager"):
        _ = EmbeddedBroker().pid

    assert list(folder.iterdir()) == []


def test_a_folder_without_a_kafka_is_told(folder: Path) -> None:
    """KAFKA_HOME is named, nothing is made."""
    with pytest.raises(ConfigurationError, match=r"KAFKA_HOME .* holds no bin/kafka-server-start"):
        KafkaNode(folder)

    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "made", ["EmbeddedBroker()", f"KafkaNode(Path({str(KAFKA_HOME)!r}))"], ids=["embedded", "kafka"]
)
def test_a_killed_process_takes_its_broker_along(made: str) -> None:
    """SIGKILL of a demo leaves no broker that holds memory and a port."""
    if "Kafka" in made and not KAFKA_HOME.is_dir():
        pytest.skip("no Apache Kafka: set KAFKA_HOME to an unpacked Kafka of 3.9 or later")
    with start(f"""
        import signal
        from pathlib import Path
        from roomstream.brokers import EmbeddedBroker, KafkaNode
        with {made} as broker:
            print(broker.pid, flush=True)
            signal.pause()
        """) as owner:
        pid = int(said(owner))
        assert not gone(pid)
        owner.kill()

    assert within(5, lambda: gone(pid))
