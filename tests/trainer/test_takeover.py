"""Two trainers on two machines: one leads, the other one takes over, and only one publishes."""

import json
import random
import signal
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest

from roomstream.brokers import Broker
from runtime.announcements import Announcements, announce
from runtime.settings import KafkaSettings, load
from runtime.topics import create_topics
from tests.processes import eventually
from tests.releases import ROOM_TYPES
from tests.trainer.labels import labelled, learned_numbers
from tests.trainer.process import Deployment
from tests.workers.processes import Fleet
from trainer.database import Database
from trainer.learners.base import Examples
from trainer.learners.slda import StreamingLda

QUICK = {
    "release_interval_seconds": 0.2,
    "first_labels_per_class": 1,
    "replay_size": 100_000,
    "session_timeout_seconds": 6,
    "snapshot_every_seconds": 0.5,
}


class Machines:
    """Machines of one deployment: each with a trainer, a database and a cache of its own."""

    def __init__(self, kafka: KafkaSettings, prefix: str, folder: Path, count: int) -> None:
        self.all = [Deployment(kafka, prefix, folder / f"machine-{n}") for n in range(count)]
        for machine in self.all:
            machine.database.parent.mkdir()
            machine.shared = machine.shared.model_copy(update={"store": f"file://{folder}/store"})
            machine.store = type(machine.store)(machine.shared.store)
        self.first, self.second = self.all[:2]
        self.first.base()
        self.sent = 0

    def send(self, count: int) -> None:
        """Send so many labels that were not sent before."""
        self.first.send(*(labelled(n) for n in range(self.sent, self.sent + count)))
        self.sent += count

    def close(self) -> None:
        """Kill what still runs."""
        for machine in self.all:
            machine.__exit__()


@pytest.fixture
def machines(kafka_node: Broker, topic_prefix: str, tmp_path: Path) -> Iterator[Machines]:
    """Two of them on a real Kafka."""
    kafka = load(KafkaSettings, bootstrap_servers=kafka_node.bootstrap_servers)
    create_topics(kafka, topic_prefix, partitions=2, replication_factor=1)
    machines = Machines(kafka, topic_prefix, tmp_path, 2)
    yield machines
    machines.close()


def stands_by(machine: Deployment) -> bool:
    return bool(machine.logs("standing by: another trainer leads"))


def leads(machine: Deployment) -> bool:
    """Whether it is ready and in the lead."""
    return machine.is_ready() and machine.metrics()["roomstream_trainer_leader"] == 1


def event_ids(machine: Deployment) -> list[str]:
    """Every label in its database, as often as it is there."""
    with Database(machine.database) as database:
        return sorted(row[0] for row in database._rows("SELECT event_id FROM labels"))


def test_one_leads_and_the_other_takes_over_when_it_stops(machines: Machines) -> None:
    """A clean stop hands over at once, with everything learned; standing by ends with 0 too."""
    first, second = machines.first, machines.second
    first.ready(**QUICK)
    second.start(**QUICK)
    eventually(lambda: stands_by(second), "the second stands by")
    machines.send(100)
    eventually(lambda: first.live_manifest().lineage.ranges != [], "a release")
    with pytest.raises(urllib.error.HTTPError) as not_ready:
        second.page("readyz")
    alive = second.page("healthz")
    code = first.stop()
    stopped = time.monotonic()
    eventually(lambda: leads(second), "the second leads")
    took = time.monotonic() - stopped
    began = second.logs("began with a snapshot")
    first.start(**QUICK)
    eventually(lambda: stands_by(first), "the first stands by")
    code_standing_by = first.stop()
    machines.send(50)
    eventually(lambda: second.learned() > 100, "it publishes")
    second.stop()

    assert (code, code_standing_by) == (0, 0)
    assert (not_ready.value.code, alive) == (503, '{"alive": true}')
    assert len(began) == 1
    assert took < 6, took
    assert event_ids(second) == sorted(f"e-{n}" for n in range(150))


def test_killed_in_turns_every_label_is_learned_once(machines: Machines, tmp_path: Path) -> None:
    """Leaders are killed back and forth under traffic; the last one's state has each label once."""
    chance = random.Random(11)
    leader, other = machines.first, machines.second
    leader.ready(**QUICK)
    for _ in range(4):
        other.start(**QUICK)
        eventually(lambda o=other: stands_by(o), "the other one stands by")  # type: ignore[misc]
        for _ in range(4):
            machines.send(chance.randint(5, 30))
            time.sleep(chance.uniform(0, 0.4))
        leader.stop(signal=signal.SIGKILL)
        machines.send(chance.randint(5, 30))
        eventually(lambda o=other: leads(o), "the other one takes over", 40)  # type: ignore[misc]
        leader, other = other, leader
        other.log_file.unlink()
    learned = sum(number < machines.sent for number in learned_numbers(machines.sent))
    eventually(lambda: leader.learned() == learned, "every label is live")
    code = leader.stop()
    with Database(leader.database) as database:
        state = database.learner_state()
        items = database.kept.items(held_out=False)
        handled = sum(part.next - part.first for part in database.ranges())
    expected = StreamingLda()
    for label in ROOM_TYPES:
        expected.add_class(label)
    expected.learn(Examples(items.features, [[]] * len(items.ids)), items.labels)

    assert code == 0
    assert event_ids(leader) == sorted(f"e-{n}" for n in range(machines.sent))
    assert handled == machines.sent
    assert state
    found = StreamingLda.from_state(state)
    assert found.prior() == expected.prior()
    np.testing.assert_allclose(found._means, expected._means, rtol=1e-9, atol=1e-9)


def test_a_killed_one_that_comes_back_need_not_wait(machines: Machines) -> None:
    """Alone, it leads again long before its dead self's session would end."""
    patient = QUICK | {"session_timeout_seconds": 120}
    machines.first.ready(**patient)
    machines.first.stop(signal=signal.SIGKILL)
    machines.first.start(**patient)
    eventually(lambda: leads(machines.first), "it leads again", 30)

    assert machines.first.metrics()["roomstream_trainer_epoch"] == 2


def healed(machine: Deployment) -> bool:
    """Whether the last announcement on the topic counts."""
    with closing(Announcements(machine.kafka, machine.shared.topic_prefix)) as reader:
        reader.read_all(30)
        return not reader.hidden


def _stop_in_the_middle_of_publishing(machine: Deployment) -> None:
    """Pause a trainer when a release is in the store and, as likely as can be, not announced yet."""
    before = len(machine.store.releases())
    eventually(lambda: len(machine.store.releases()) > before, "a release in the store")
    assert machine.process is not None
    machine.process.send_signal(signal.SIGSTOP)


def test_one_that_wakes_up_gets_nothing_live(machines: Machines, tmp_path: Path) -> None:
    """Paused while it publishes, it is taken over from; what it then says is refused everywhere."""
    first, second = machines.first, machines.second
    first.ready(**QUICK)

    second.start(**QUICK)
    eventually(lambda: stands_by(second), "the second stands by")
    with closing(Fleet(first.kafka, first.shared, tmp_path)) as fleet:
        worker = fleet.start(WORKER_SESSION_TIMEOUT_SECONDS="6")
        machines.send(40)
        _stop_in_the_middle_of_publishing(first)
        eventually(lambda: leads(second), "the second leads", 40)
        machines.send(60)
        learned = sum(number < 100 for number in learned_numbers(100))
        eventually(lambda: second.learned() == learned, "the second publishes")
        assert first.process is not None
        first.process.send_signal(signal.SIGCONT)
        code = first.process.wait(30)
        # And one that surely comes too late, whatever the paused one had sent.
        stale = msgspec.structs.replace(first.live(), release="20200101T000000.000Z-stale", epoch=1)
        announce(first.kafka, first.shared.topic_prefix, stale)
        counted = (("outcome", "stale"),)
        eventually(lambda: worker.metric("reloads_total")[counted] >= 1, "the worker refuses it")
        eventually(lambda: healed(first), "the second heals the topic")
        machines.send(20)
        learned = sum(number < 120 for number in learned_numbers(120))
        eventually(lambda: second.learned() == learned, "the second publishes on")
        live = {(("release", second.live().release),): 1.0}
        eventually(lambda: worker.metric("live_release_info") == live, "the worker follows")
        refused = worker.metric("reloads_total")[("outcome", "refused"),]
    second.stop()
    shown = subprocess.run(
        [sys.executable, "-P", "-m", "roomstream", "releases", "show", "--json"],
        env=second._environment({}),
        capture_output=True,
        check=True,
        timeout=60,
    )

    assert code == 75
    assert json.loads(shown.stdout)["epoch"] == second.live().epoch == 2
    assert b"stale announcement refused" in shown.stderr
    assert "Another trainer has taken the lead" in first.logs("ended")[-1]["why"]
    assert refused == 0
    assert event_ids(second) == sorted(f"e-{n}" for n in range(120))
