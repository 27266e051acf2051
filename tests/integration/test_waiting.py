"""Brokers and stores that are away for a while: services wait for them, and can be stopped meanwhile."""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from artefacts.store import Store
from roomstream.brokers import Broker, KafkaNode
from roomstream.live import make_live
from runtime.announcements import announce
from runtime.settings import KafkaSettings, SharedSettings, load
from runtime.topics import create_topics
from schemas.errors import ExitCode
from schemas.events import ReleaseAnnouncement
from tests.conftest import KAFKA_HOME
from tests.kafka_io import send
from tests.processes import eventually
from tests.releases import tiny_release
from tests.trainer.labels import labelled, learned_numbers
from tests.trainer.process import Deployment
from tests.workers.listings import answers, listings, positions, read_answers
from tests.workers.processes import Fleet, WorkerProcess

QUICK = {"release_interval_seconds": 0.1, "first_labels_per_class": 3}


@contextmanager
def away(store: str) -> Iterator[None]:
    """Move the folder of a store away for the length of a block, as a disk that is not mounted."""
    folder = Path(store.removeprefix("file://"))
    elsewhere = folder.rename(folder.with_name("elsewhere"))
    try:
        yield
    finally:
        assert not folder.exists(), "somebody made a new store"
        elsewhere.rename(folder)


def trying(worker: WorkerProcess) -> list[str]:
    """What it says that it tries again."""
    return [line["why"] for line in worker.lines() if line["event"].endswith("trying again")]


def stopped_at_once(worker: WorkerProcess) -> None:
    """SIGTERM ends it with 0, however long it would wait."""
    started = time.monotonic()

    assert worker.stop(20) == ExitCode.DONE
    assert time.monotonic() - started < 10


@pytest.fixture
def fleet(embedded_broker: Broker, topic_prefix: str, tmp_path: Path) -> Iterator[Fleet]:
    """A group of workers that has topics, and a store."""
    kafka = load(KafkaSettings, bootstrap_servers=embedded_broker.bootstrap_servers)
    create_topics(kafka, topic_prefix, partitions=1, replication_factor=1)
    shared = SharedSettings(
        store=f"file://{tmp_path / 'store'}", cache=tmp_path / "cache", topic_prefix=topic_prefix
    )
    fleet = Fleet(kafka, shared, tmp_path)
    yield fleet
    fleet.close()


def published(fleet: Fleet, scale: float = 12) -> ReleaseAnnouncement:
    release = tiny_release(Store(fleet.shared.store), scale=scale).release
    return make_live(fleet.kafka, fleet.shared, release, "a test")


def serves(worker: WorkerProcess, announced: ReleaseAnnouncement) -> bool:
    return (("release", announced.release),) in worker.metric("live_release_info")


def test_a_worker_that_waits_for_a_release_can_be_stopped(fleet: Fleet) -> None:
    """It has begun nothing: exit code 0, and the log says so."""
    worker = fleet.start(ready=False)
    waits = "waiting for a release to be announced"
    eventually(lambda: waits in [line["event"] for line in worker.lines()], "it waits")

    stopped_at_once(worker)
    assert worker.lines()[-1]["event"] == "stopped before it had begun"


def test_a_worker_starts_once_its_store_is_back(fleet: Fleet) -> None:
    """It says what it waits for; one that is stopped meanwhile ends at once."""
    published(fleet)
    with away(fleet.shared.store):
        waiting, impatient = fleet.start(ready=False), fleet.start(ready=False)
        for worker in (waiting, impatient):
            eventually(lambda w=worker: len(trying(w)) > 0, "it tries again")  # type: ignore[misc]
        stopped_at_once(impatient)
    eventually(waiting.ready, "it is ready")

    assert fleet.shared.store in trying(waiting)[0]
    assert "mounted" in trying(waiting)[0]
    assert waiting.stop() == ExitCode.DONE


def test_a_worker_serves_on_while_its_store_is_away(fleet: Fleet) -> None:
    """With the release that it has; what was announced meanwhile is taken up later, not refused."""
    old, prefix = published(fleet), fleet.shared.topic_prefix
    worker = fleet.start()
    newer = published(fleet, scale=11)
    eventually(lambda: serves(worker, newer), "the newer one is taken up")
    with away(fleet.shared.store):
        announce(fleet.kafka, prefix, old)
        eventually(lambda: len(trying(worker)) > 0, "it tries again")
        places = send(fleet.kafka, f"{prefix}listings", listings(50))
        records = read_answers(fleet.kafka, prefix, places)
    eventually(lambda: serves(worker, old), "the old one is taken up later")

    assert {newer.release} == {answer.release for answer in answers(records)}
    assert positions(records) == Counter(places)
    assert worker.metric("reloads_total")[("outcome", "refused"),] == 0


@pytest.fixture
def deployment(embedded_broker: Broker, topic_prefix: str, tmp_path: Path) -> Iterator[Deployment]:
    """A trainer's topics, store and base release."""
    kafka = load(KafkaSettings, bootstrap_servers=embedded_broker.bootstrap_servers)
    create_topics(kafka, topic_prefix, partitions=1, replication_factor=1)
    with Deployment(kafka, topic_prefix, tmp_path) as deployment:
        deployment.base()
        yield deployment


def test_a_trainer_learns_on_while_its_store_is_away(deployment: Deployment) -> None:
    """It is not ready and says why; once the store is back, one release has all that it learned."""
    deployment.ready(**QUICK)
    with away(deployment.shared.store):
        deployment.send(*(labelled(number) for number in learned_numbers(40)))
        eventually(lambda: deployment.events("learned") == 40, "learned")
        eventually(lambda: postponed(deployment) >= 2, "it tries again")
        eventually(lambda: not deployment.is_ready(), "/readyz says 503")
    eventually(lambda: deployment.learned() == 40, "published")
    eventually(deployment.is_ready, "/readyz says 200")

    assert deployment.store.pointed("live") == deployment.live().release
    assert "mounted" in deployment.logs("release postponed: learning on")[0]["why"]
    assert deployment.stop() == ExitCode.DONE


def postponed(deployment: Deployment) -> float:
    """How often a release was postponed."""
    return deployment.metrics()['roomstream_trainer_releases_total{outcome="postponed"}']


def test_a_trainer_gives_up_after_its_limit(deployment: Deployment) -> None:
    """With 75; what it learned is in its database, and published after a restart."""
    deployment.ready(**QUICK, publish_limit_seconds=2)
    with away(deployment.shared.store):
        deployment.send(*(labelled(number) for number in learned_numbers(40)))
        assert deployment.process is not None
        code = deployment.process.wait(40)
        (ended,) = deployment.logs("ended")
        deployment.start(**QUICK, release_wait_seconds=120)
        eventually(lambda: bool(deployment.logs("trying again")), "it waits for the store")
        stopped = deployment.stop(signal.SIGTERM)
    deployment.ready(**QUICK)
    eventually(lambda: deployment.learned() == 40, "published")

    assert code == ExitCode.TRY_AGAIN
    assert "For 2 s and more" in ended["why"]
    assert stopped == ExitCode.DONE


def test_both_services_start_once_their_broker_is_back(tmp_path: Path) -> None:
    """Neither ends with an error because it is started before its broker; both can be stopped."""
    if not KAFKA_HOME.is_dir():
        pytest.skip("no Apache Kafka: set KAFKA_HOME to an unpacked Kafka of 3.9 or later")
    with KafkaNode(KAFKA_HOME) as node:
        kafka = load(KafkaSettings, bootstrap_servers=node.bootstrap_servers)
        create_topics(kafka, "", partitions=1, replication_factor=1)
        with Deployment(kafka, "", tmp_path) as deployment:
            deployment.base()
            fleet = Fleet(kafka, deployment.shared, tmp_path)
            node.stop()
            deployment.start(release_wait_seconds=120)
            waiting, impatient = (
                fleet.start(ready=False, WORKER_DELIVERY="exactly-once", WORKER_SLOT=slot)
                for slot in "ab"
            )
            eventually(lambda: bool(deployment.logs("trying again")), "the trainer tries again")
            eventually(lambda: bool(trying(waiting) and trying(impatient)), "both workers do")
            stopped_at_once(impatient)
            node.start()
            eventually(waiting.ready, "the worker is ready", 60)
            eventually(deployment.is_ready, "the trainer is ready", 60)
            fleet.close()

    assert kafka.bootstrap_servers in trying(waiting)[0]
