"""A trainer that is killed, refused or short of disk: nothing is learned twice, nothing is lost."""

import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from artefacts.classifier import Classifier
from roomstream.brokers import Broker, EmbeddedBroker
from roomstream.reading import TopicReader
from runtime.settings import KafkaSettings, load
from runtime.topics import create_topics
from schemas.codec import decode
from schemas.errors import ExitCode
from schemas.events import LabelledEvent
from schemas.topics import Topic
from tests.kafka_io import created_again
from tests.mounts import fill, tiny_disk
from tests.processes import eventually
from tests.releases import ROOM_TYPES
from tests.trainer.labels import labelled, learned_numbers
from tests.trainer.process import Deployment
from trainer.database import Database
from trainer.learners.base import Examples
from trainer.learners.slda import StreamingLda

QUICK = {"release_interval_seconds": 0, "first_labels_per_class": 1, "replay_size": 100_000}
KILLS = 12


@pytest.fixture
def on_embedded(embedded_broker: Broker, topic_prefix: str, tmp_path: Path) -> Iterator[Deployment]:
    """The same where the broker makes no difference."""
    kafka = load(KafkaSettings, bootstrap_servers=embedded_broker.bootstrap_servers)
    create_topics(kafka, topic_prefix, partitions=2, replication_factor=1)
    with Deployment(kafka, topic_prefix, tmp_path) as deployment:
        deployment.base()
        yield deployment


def _kill_somewhere(deployment: Deployment, chance: random.Random) -> None:
    """Kill while it starts, after a random time, or in the moment in which a release is in the store."""
    if chance.random() < 0.7:
        eventually(deployment.is_ready, "it leads")
    before = len(deployment.store.releases())
    deadline = time.monotonic() + chance.uniform(0.3, 1.5)
    at_release = chance.random() < 0.5
    while time.monotonic() < deadline + at_release:
        if at_release and len(deployment.store.releases()) > before:
            time.sleep(chance.choice([0, 0.002, 0.01]))
            break
        time.sleep(0.001)
    deployment.stop(signal=9)


def _on_topic(deployment: Deployment) -> dict[str, LabelledEvent]:
    with TopicReader(deployment.kafka, deployment.shared.topic_prefix, Topic.LABELLED) as reader:
        events = [decode(Topic.LABELLED, r.value or b"", r.headers) for r in reader.read_to_end()]
    return {event.event_id: event for event in events if isinstance(event, LabelledEvent)}


@pytest.mark.parametrize("broker", ["kafka_node"], ids=["kafka"], indirect=True)
def test_killed_anywhere_every_label_is_learned_once(deployment: Deployment) -> None:
    """After twelve SIGKILLs database and topic agree, and the learner was never interrupted."""
    chance = random.Random(7)
    sent = 0
    for _ in range(KILLS):
        deployment.start(**QUICK)
        more = chance.randint(5, 60)
        deployment.send(*(labelled(number) for number in range(sent, sent + more)))
        sent += more
        _kill_somewhere(deployment, chance)
    expected = sum(number < sent for number in learned_numbers(sent))
    deployment.ready(**QUICK)
    eventually(lambda: deployment.learned() == expected, "every label is live")
    code = deployment.stop()
    topic = _on_topic(deployment)
    with Database(deployment.database) as database:
        rows = database._rows("SELECT event_id, label, held_out FROM labels")
        items = database.kept.items(held_out=False)
        state = database.learner_state()
        handled = sum(part.next - part.first for part in database.ranges())
    learner = StreamingLda()
    for label in ROOM_TYPES:
        learner.add_class(label)
    learner.learn(Examples(items.features, [[]] * len(items.ids)), items.labels)

    assert code == 0
    assert sorted((event.event_id, event.label) for event in topic.values()) == sorted(
        (event_id, label) for event_id, label, _ in rows
    )
    assert handled == sent == len(rows)
    assert len(items.ids) == expected
    found = StreamingLda.from_state(state)
    for moments in ("_means", "_scatter"):
        np.testing.assert_allclose(
            getattr(found, moments), getattr(learner, moments), rtol=1e-9, atol=1e-9
        )
    assert found.prior() == learner.prior()
    Classifier.load(deployment.live_manifest(), deployment.store.get)


def test_labels_of_a_topic_that_was_created_again_are_learned(
    deployment: Deployment, kafka_settings: KafkaSettings
) -> None:
    """It ends with 75 before it reads on in the new topic's midst, and starts again at its beginning."""
    first, second = learned_numbers(40)[:20], learned_numbers(40)[20:]
    deployment.ready(**QUICK)
    deployment.send(*(labelled(number) for number in first))
    eventually(lambda: deployment.learned() == 20, "the first are live")
    created_again(kafka_settings, deployment.shared.topic_prefix, 4, Topic.LABELLED)
    assert deployment.process is not None
    code = deployment.process.wait(30)
    deployment.send(*(labelled(number) for number in second))
    deployment.ready(**QUICK)

    eventually(lambda: deployment.learned() == 40, "those of the new topic are live too")
    assert code == ExitCode.TRY_AGAIN
    assert "was deleted and created again" in deployment.logs("ended")[-1]["why"]


def test_a_full_store_is_told_and_left_whole(on_embedded: Deployment, tmp_path: Path) -> None:
    """After its limit it ends with 75; nothing half-written is there; with space the release comes."""
    with tiny_disk(tmp_path / "small", "8m") as disk:
        on_embedded.shared = on_embedded.shared.model_copy(update={"store": f"file://{disk}"})
        on_embedded.store = type(on_embedded.store)(on_embedded.shared.store)
        on_embedded.base()
        before = {path for path in disk.rglob("*") if path.is_file()}
        fill(disk / "ballast")
        on_embedded.send(*(labelled(number) for number in learned_numbers(40)))
        code = on_embedded.run(**QUICK, publish_limit_seconds=1)
        (ended,) = on_embedded.logs("ended")
        after = {path for path in disk.rglob("*") if path.is_file()} - {disk / "ballast"}
        (disk / "ballast").unlink()
        on_embedded.ready(**QUICK)
        eventually(lambda: on_embedded.learned() == 40, "published with space")
        on_embedded.stop()

    assert (code, ended["exit_code"]) == (75, 75)
    assert "The disk is full: free some space" in ended["why"]
    assert before == after


def test_a_full_disk_of_the_database_is_told(on_embedded: Deployment, tmp_path: Path) -> None:
    """A trainer at work ends with 75; with space it goes on, and every label is learned once."""
    numbers = learned_numbers(2_000)
    with tiny_disk(tmp_path / "small", "8m") as disk:
        on_embedded.database = disk / "trainer.sqlite"
        on_embedded.ready(**QUICK)
        on_embedded.send(*(labelled(number) for number in numbers[:20]))
        eventually(lambda: on_embedded.learned() == 20, "it is at work")
        fill(disk / "ballast")
        assert on_embedded.process is not None
        sent = 20
        while on_embedded.process.poll() is None:
            on_embedded.send(*(labelled(number) for number in numbers[sent : sent + 20]))
            sent += 20
        ended = on_embedded.logs("ended")[-1]
        (disk / "ballast").unlink()
        on_embedded.ready(**QUICK)
        eventually(lambda: on_embedded.learned() == sent, "all is learned with space")
        code = on_embedded.stop()
        with Database(on_embedded.database) as database:
            rows = database._rows("SELECT event_id FROM labels")

    assert (ended["exit_code"], code) == (ExitCode.TRY_AGAIN, ExitCode.DONE)
    assert "full" in ended["why"]
    assert sorted(rows) == sorted((f"e-{number}",) for number in numbers[:sent])


def test_one_database_has_one_trainer(on_embedded: Deployment) -> None:
    """A second one ends with 75 and names the file; the first one goes on."""
    on_embedded.ready(**QUICK)
    first = on_embedded.process
    code = on_embedded.run(**QUICK, metrics_port=0)
    on_embedded.process = first

    assert code == 75
    assert str(on_embedded.database) in on_embedded.logs("ended")[-1]["why"]
    assert on_embedded.is_ready()
    assert on_embedded.stop() == 0


def test_an_occupied_port_is_a_wrong_setting(on_embedded: Deployment) -> None:
    """It ends with 2 and names the option."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code = on_embedded.run(metrics_port=taken.getsockname()[1])

    assert code == 2
    assert "TRAINER_METRICS_PORT" in on_embedded.logs("ended")[-1]["why"]


def test_missing_topics_are_a_wrong_setting(on_embedded: Deployment) -> None:
    """It ends with 2 and says how to make them."""
    on_embedded.shared = on_embedded.shared.model_copy(update={"topic_prefix": "nowhere."})

    assert on_embedded.run() == 2
    assert "roomstream topics create" in on_embedded.logs("ended")[-1]["why"]


def test_without_a_release_there_is_nothing_to_learn_with(
    embedded_broker: Broker, topic_prefix: str, tmp_path: Path
) -> None:
    """It ends with 3 and says how to make one."""
    kafka = load(KafkaSettings, bootstrap_servers=embedded_broker.bootstrap_servers)
    create_topics(kafka, topic_prefix, partitions=1, replication_factor=1)
    with Deployment(kafka, topic_prefix, tmp_path) as deployment:
        assert deployment.run(release_wait_seconds=0.5) == 3
        assert "roomstream base import" in deployment.logs("ended")[-1]["why"]


def test_an_unreachable_broker_is_worth_another_try(tmp_path: Path) -> None:
    """It ends with 75 and names the address."""
    kafka = load(KafkaSettings, bootstrap_servers="127.0.0.1:1")
    with Deployment(kafka, "", tmp_path) as deployment:
        assert deployment.run(release_wait_seconds=0.5) == 75
        assert "127.0.0.1:1" in deployment.logs("ended")[-1]["why"]


def test_a_damaged_database_is_told(on_embedded: Deployment) -> None:
    """It ends with 1, says what to do, and leaves the file as it was."""
    on_embedded.database.write_bytes(b"not a database " * 1_000)

    assert on_embedded.run() == 1
    (ended,) = on_embedded.logs("ended")
    assert "Move it away" in ended["why"]


def test_an_idle_trainer_whose_broker_is_gone_ends(tmp_path: Path) -> None:
    """It says so on /readyz at once, and ends with 75 after its limit: nobody thinks it is well."""
    with EmbeddedBroker() as broker:
        kafka = load(KafkaSettings, bootstrap_servers=broker.bootstrap_servers)
        create_topics(kafka, "", partitions=1, replication_factor=1)
        with Deployment(kafka, "", tmp_path) as deployment:
            deployment.base()
            deployment.ready(watchdog_seconds=6)
            broker.stop()
            eventually(lambda: not deployment.is_ready(), "/readyz says 503", 6)
            assert deployment.process is not None
            code = deployment.process.wait(30)
            (ended,) = deployment.logs("ended")

    assert code == ExitCode.TRY_AGAIN
    assert kafka.bootstrap_servers in ended["why"]
