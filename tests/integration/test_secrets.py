"""Secrets come from the environment or a file, and are never shown: no log, metric, error or help."""

import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from artefacts.store import Store
from roomstream.live import make_live
from runtime.settings import KafkaSettings, SharedSettings, load, settings_environment
from runtime.topics import create_topics
from schemas.errors import ExitCode
from tests.integration.commands import run, ten_seconds
from tests.kafka_io import send
from tests.processes import eventually
from tests.releases import tiny_release
from tests.secured_kafka import PASSWORD, SecuredKafka
from tests.trainer.process import Deployment
from tests.workers.listings import listings
from tests.workers.processes import WorkerProcess

WRONG = "marked-guess-81"
FORMS = re.compile("|".join(map(re.escape, (PASSWORD, WRONG, PASSWORD.replace(" ", "\\u0020")))))


@pytest.fixture
def kafka(secured_kafka: SecuredKafka) -> KafkaSettings:
    """Somebody who may do everything, by password in the clear: the most there is to leak."""
    return load(KafkaSettings, **secured_kafka.options("PLAIN"))


@pytest.fixture
def shared(kafka: KafkaSettings, topic_prefix: str, tmp_path: Path) -> SharedSettings:
    """Topics and a live release."""
    found = SharedSettings(
        store=f"file://{tmp_path / 'store'}",
        cache=tmp_path / "cache",
        topic_prefix=topic_prefix,
        log_level="DEBUG",
    )
    create_topics(kafka, topic_prefix, partitions=2, replication_factor=1)
    make_live(kafka, found, tiny_release(Store(found.store)).release, "the first one")
    return found


def shown(pid: int, pages: Sequence[str], log: Path) -> str:
    """Everything that a process shows to others."""
    command = Path(f"/proc/{pid}/cmdline").read_text()
    return "\n".join([command, *pages, log.read_text()])


@pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
def test_a_worker_shows_no_secret(
    kafka: KafkaSettings, shared: SharedSettings, tmp_path: Path, delivery: str
) -> None:
    """Not even at level DEBUG, at which the libraries write down what they send."""
    environment = settings_environment(kafka) | settings_environment(shared)
    with WorkerProcess({**environment, "WORKER_DELIVERY": delivery}, tmp_path / "log") as worker:
        eventually(worker.ready, "worker is ready", 90)
        send(kafka, f"{shared.topic_prefix}listings", listings(4))
        eventually(lambda: sum(worker.metric("events_total").values()) == 4, "they are answered")
        pages = [worker.get(page)[1] for page in ("/metrics", "/readyz")]
        everything = shown(worker.process.pid, pages, tmp_path / "log")
        worker.stop()

    assert '"level": "debug"' in everything or '"level": "info"' in everything
    assert not FORMS.search(everything + (tmp_path / "log").read_text())


def test_a_trainer_shows_no_secret(
    kafka: KafkaSettings, shared: SharedSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same."""
    monkeypatch.setenv("ROOMSTREAM_LOG_LEVEL", "DEBUG")
    with Deployment(kafka, shared.topic_prefix, tmp_path) as trainer:
        trainer.ready()
        assert trainer.process is not None
        pages = [trainer.page(page) for page in ("metrics", "readyz")]
        everything = shown(trainer.process.pid, pages, trainer.log_file)
        trainer.stop()

    assert not FORMS.search(everything + trainer.log_file.read_text())


@pytest.mark.parametrize(
    "command",
    [("doctor",), ("doctor", "--json"), ("topics", "list"), ("worker",), ("trainer",), ("--help",)],
    ids=" ".join,
)
def test_no_command_shows_a_secret(
    kafka: KafkaSettings, shared: SharedSettings, command: Sequence[str]
) -> None:
    """Neither one that fails for the password, at once, nor help, which shows what is set."""
    environment = settings_environment(kafka) | settings_environment(shared)
    environment |= {"KAFKA_SASL_PASSWORD": WRONG, "WORKER_METRICS_PORT": "0"}
    environment |= {"TRAINER_METRICS_PORT": "0", "TRAINER_DATABASE": f"{shared.cache}.sqlite"}
    began = time.monotonic()
    done: subprocess.CompletedProcess[str] = run(environment, *command)
    took = time.monotonic() - began
    helped = run(environment, command[0], "--help")

    if command in (("worker",), ("trainer",)):
        assert done.returncode == ExitCode.USAGE
        assert took < ten_seconds()
    if command != ("--help",):
        assert done.returncode != 0
        assert "does not let 'ana' in" in done.stdout + done.stderr
    assert not FORMS.search(done.stdout + done.stderr + helped.stdout + helped.stderr)
