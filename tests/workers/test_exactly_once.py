"""Exactly-once workers on a real Kafka: whatever is done to them, every listing has one answer."""

import random
import signal
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import psutil
import pytest

from artefacts.store import Store
from roomstream.audit import run_audit
from roomstream.broken_messages import broken_message
from roomstream.listings import Listing
from runtime.dead_letters import read_dead_letter
from runtime.settings import KafkaSettings
from schemas.errors import ExitCode
from schemas.topics import Topic
from tests.kafka_io import read_until, send
from tests.processes import eventually, python
from tests.releases import KABOOM
from tests.workers.brokers import ON_EMBEDDED, ON_KAFKA
from tests.workers.listings import answers, lag, listings, read_answers
from tests.workers.processes import WORKER, Fleet, WorkerProcess
from tests.workers.traffic import Traffic, repeats

pytestmark = [pytest.mark.usefixtures("live")]


SLEEPS_WHEN_IT_JOINS_AGAIN = python(
    """
    import logging, os, signal, sys
    from roomstream.cli import main

    class Sleep(logging.Handler):
        assigned = False

        def emit(self, line):
            if line.msg.startswith("(Re-)joining group") and self.assigned:
                self.assigned = False
                os.kill(os.getpid(), signal.SIGSTOP)
            elif line.msg.startswith("Setting newly assigned partitions"):
                self.assigned = True

    clients_log = logging.getLogger("kafka.coordinator")
    clients_log.setLevel(logging.INFO)
    clients_log.addHandler(Sleep())
    sys.argv[1:] = ["worker"]
    main()
    """
)


def start(
    fleet: Fleet, slot: str, ready: bool = True, command: Sequence[str] = WORKER
) -> WorkerProcess:
    return fleet.start(
        ready, command, WORKER_DELIVERY="exactly-once", WORKER_SLOT=slot, WORKER_MAX_WINDOW="16"
    )


def asleep(worker: WorkerProcess) -> bool:
    return bool(psutil.Process(worker.process.pid).status() == psutil.STATUS_STOPPED)


@ON_KAFKA
def test_killed_workers_lose_nothing_and_repeat_nothing(
    fleet: Fleet, kafka_settings: KafkaSettings, topics: str
) -> None:
    """Two workers under traffic, killed again and again at a random moment and started again."""
    chance = random.Random(7)
    running = [start(fleet, slot, ready=False) for slot in "ab"]
    eventually(lambda: all(worker.ready() for worker in running), "both are ready", 40)
    traffic = Traffic(kafka_settings, topics)
    with traffic.flowing():
        for kill in range(4):
            time.sleep(chance.uniform(0.2, 1.2))
            running[kill % 2].process.kill()
            running[kill % 2] = start(fleet, "ab"[kill % 2])

    assert repeats(kafka_settings, topics, traffic.places) == 0
    assert [worker.stop() for worker in running] == [ExitCode.DONE, ExitCode.DONE]
    audits = run_audit(kafka_settings, topics, f"{topics}roomstream-workers")
    assert all(audit.whole for audit in audits)
    assert sum(audit.answered for audit in audits) == len(traffic.places)


@ON_KAFKA
def test_a_worker_that_slept_past_its_session_repeats_nothing(
    fleet: Fleet, kafka_settings: KafkaSettings, topics: str
) -> None:
    """Its partitions go to the other; what it had in hand when it wakes is not committed twice."""
    sleeper, other = start(fleet, "a"), start(fleet, "b")
    traffic = Traffic(kafka_settings, topics)
    with traffic.flowing():
        time.sleep(0.7)
        sleeper.signal(signal.SIGSTOP)
        eventually(lambda: len(lag(other)) == 4, "the other has all partitions", 40)
        sleeper.signal(signal.SIGCONT)
        time.sleep(3)

    assert repeats(kafka_settings, topics, traffic.places) == 0


@ON_KAFKA
def test_a_worker_that_slept_in_a_rebalance_goes_on_where_the_other_was(
    fleet: Fleet, kafka_settings: KafkaSettings, topics: str
) -> None:
    """kafka-python keeps positions over a rebalance, though others have answered from there since."""
    topic = Topic.LISTINGS.named(topics)
    sleeper = start(fleet, "a", command=SLEEPS_WHEN_IT_JOINS_AGAIN)
    places = send(kafka_settings, topic, listings(40))
    eventually(lambda: lag(sleeper) == dict.fromkeys("0123", 0), "the first are answered")
    other = start(fleet, "b", ready=False)
    eventually(lambda: asleep(sleeper), "it sleeps while it joins again")
    places += send(kafka_settings, topic, listings(40, 40))
    eventually(lambda: lag(other) == dict.fromkeys("0123", 0), "the other answers for both", 40)
    sleeper.signal(signal.SIGCONT)
    eventually(lambda: len(lag(sleeper)) == len(lag(other)) == 2, "each has its half again", 40)
    places += send(kafka_settings, topic, listings(40, 80))

    assert repeats(kafka_settings, topics, places) == 0


@ON_KAFKA
def test_whatever_comes_in_has_one_result_and_sigterm_drains(
    fleet: Fleet, kafka_settings: KafkaSettings, topics: str
) -> None:
    """
    Answers, dead letters and tombstones are committed together, answers of a listing in order.

    Those of a key are in the partition of its listings, as with any other producer.
    """
    at = datetime.now(UTC)
    broken = [
        broken_message(error, Listing("l-1", "Loft"), "e-x", at)
        for error in ("not_json", "bad_utf8")
    ]
    messages = [(message.key, message.value, message.headers) for message in broken]
    poisoned = (b"l-2", listings(1)[0][1].replace(b"Entire", KABOOM.encode()), ())  # type: ignore[union-attr]
    worker = start(fleet, "a")
    places = send(kafka_settings, Topic.LISTINGS.named(topics), listings(120))
    dead = send(
        kafka_settings, Topic.LISTINGS.named(topics), [*messages, poisoned, (b"l-3", None, ())]
    )
    records = read_answers(kafka_settings, topics, places)
    letters = read_until(kafka_settings, topics, Topic.DEAD, lambda found: len(found) >= 3)
    eventually(lambda: lag(worker) == dict.fromkeys("0123", 0), "everything is committed")
    code = worker.stop()

    assert code == ExitCode.DONE
    assert repeats(kafka_settings, topics, places) == 0
    assert {(x.partition, x.offset) for x in map(read_dead_letter, letters)} == set(dead[:3])
    assert all(
        x.input.partition == r.partition for x, r in zip(answers(records), records, strict=True)
    )
    for listing in {answer.listing_id for answer in answers(records)}:
        events = [x.event_id for x in answers(records) if x.listing_id == listing]
        assert events == sorted(events, key=lambda name: int(name.removeprefix("e-")))


@ON_KAFKA
def test_two_workers_of_one_slot_do_not_both_answer(
    fleet: Fleet, kafka_settings: KafkaSettings, topics: str
) -> None:
    """The newer one takes over; the older one is fenced, and says what to change."""
    old = start(fleet, "a")
    new = start(fleet, "a")
    places = send(kafka_settings, Topic.LISTINGS.named(topics), listings(60))
    code = old.ended(40)

    assert code == ExitCode.TRY_AGAIN
    assert "WORKER_SLOT" in old.lines()[-1]["why"]
    assert repeats(kafka_settings, topics, places) == 0
    assert new.stop() == ExitCode.DONE


@ON_EMBEDDED
def test_brokers_without_transactions_are_refused(fleet: Fleet, store: Store) -> None:
    """The embedded broker shows aborted messages: the worker says so before it answers anything."""
    assert store.releases()
    worker = start(fleet, "a", ready=False)
    code = worker.ended(40)

    assert code == ExitCode.USAGE
    assert "WORKER_DELIVERY=at-least-once" in worker.lines()[-1]["why"]
