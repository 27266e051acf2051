"""Workers whose world breaks on everything: they pause, say so, stay in their group, and recover."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from artefacts.store import Store
from roomstream.broken_messages import broken_message
from roomstream.letter_replay import Replay
from roomstream.letters import Choice
from roomstream.listings import Listing
from roomstream.live import make_live
from roomstream.reading import TopicReader
from runtime.dead_letters import read_dead_letter
from runtime.kafka import admin_client
from runtime.settings import KafkaSettings, SharedSettings
from schemas.errors import ExitCode
from schemas.topics import Topic
from tests.kafka_io import Message, read_until, send
from tests.processes import eventually
from tests.releases import tiny_release
from tests.workers.brokers import ON_KAFKA
from tests.workers.listings import AT, lag, listings, positions
from tests.workers.processes import Fleet, WorkerProcess

ALLOWED = 50
"""Half of the last hundred."""
WATCHDOG_SECONDS = 15
PAST_SECONDS = {"at-least-once": 8, "exactly-once": WATCHDOG_SECONDS + 12}
"""Past the session's limit, and past that of a transactional worker which does not poll."""

pytestmark = [
    ON_KAFKA,
    pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"]),
]


class Scene:
    """One group of workers whose release somebody changes."""

    def __init__(
        self, fleet: Fleet, kafka: KafkaSettings, shared: SharedSettings, delivery: str
    ) -> None:
        self.kafka = kafka
        self._fleet = fleet
        self._shared = shared
        self._delivery = delivery

    def start(self, slot: str, ready: bool = True, **settings: str) -> WorkerProcess:
        """A worker; one that begins with a broken release is never ready."""
        return self._fleet.start(
            ready, WORKER_DELIVERY=self._delivery, WORKER_SLOT=slot, **settings
        )

    def send(self, messages: Sequence[Message]) -> list[tuple[int, int]]:
        """Send listings; their places."""
        return send(self.kafka, Topic.LISTINGS.named(self._shared.topic_prefix), messages)

    def release(self, *workers: WorkerProcess, breaks: bool = False, scale: float = 12) -> None:
        """Make another release live, and wait until the workers have it."""
        release = tiny_release(
            Store(self._shared.store), scale=scale, breaks_on="everything" if breaks else "kaboom"
        ).release
        make_live(self.kafka, self._shared, release, "a test")
        for worker in workers:
            eventually(
                lambda w=worker: (("release", release),) in w.metric("live_release_info"),  # type: ignore[misc]
                "the release is taken up",
            )

    def dead(self) -> Counter[tuple[int, int]]:
        """Where dead letters come from."""
        with TopicReader(self.kafka, self._shared.topic_prefix, Topic.DEAD) as reader:
            records = list(reader.read_to_end())
        letters = [read_dead_letter(record) for record in records]
        return Counter((letter.partition, letter.offset) for letter in letters)

    def settled(self, places: Sequence[tuple[int, int]]) -> Counter[tuple[int, int]]:
        """Wait until every place is answered or dead; how often each is."""
        dead = self.dead()
        records = read_until(
            self.kafka,
            self._shared.topic_prefix,
            Topic.CLASSIFIED,
            lambda found: set(places) <= set(positions(found)) | set(dead),
        )
        return positions(records) + dead

    def members(self) -> set[str]:
        """Who is in the group."""
        group = f"{self._shared.topic_prefix}roomstream-workers"
        with admin_client(self.kafka) as admin:
            (found,) = admin.describe_groups([group]).values()
        return {member["member_id"] for member in found["members"]}


@pytest.fixture
def scene(
    fleet: Fleet, kafka_settings: KafkaSettings, shared: SharedSettings, live: str, delivery: str
) -> Scene:
    assert live
    return Scene(fleet, kafka_settings, shared, delivery)


def is_open(worker: WorkerProcess) -> bool:
    return worker.metric("circuit_open").get(()) == 1


def condition(worker: WorkerProcess) -> dict[str, Any]:
    status, body = worker.get("/readyz")
    found: dict[str, Any] = json.loads(body)["conditions"]["circuit"]

    assert found["ok"] or status == 503
    return found


def test_a_release_that_breaks_on_everything_pauses_the_worker(scene: Scene, delivery: str) -> None:
    """Past its poll interval it still holds its partitions; a good release, and all is answered once."""
    worker = scene.start("a", WORKER_WATCHDOG_SECONDS=str(WATCHDOG_SECONDS))
    places = scene.send(listings(120))
    scene.settled(places)
    scene.release(worker, breaks=True)
    places += scene.send(listings(1500, 120))  # more than any buffer holds
    eventually(lambda: is_open(worker), "the circuit opens")
    before = scene.members()
    time.sleep(PAST_SECONDS[delivery])
    places += scene.send(listings(40, 1620))
    why, dead, waiting = condition(worker)["why"], scene.dead(), lag(worker)
    after = scene.members()
    scene.release(worker, scale=11)
    settled = scene.settled(places)
    eventually(worker.ready, "it is ready again")

    assert dead.total() <= ALLOWED
    assert scene.dead() == dead
    assert settled == Counter(places)
    assert before == after
    assert len(waiting) == 4
    for part in ("100%", "inference", "open since 20", "rollback", "Next probe in"):
        assert part in why
    assert worker.metric("circuit_open") == {(): 0}
    assert worker.metric("circuit_trips_total") == {(): 1}
    events = [line["event"] for line in worker.lines()]
    assert sum(event.startswith("circuit opened") for event in events) == 1
    assert sum(event.startswith("circuit closed") for event in events) == 1
    assert worker.stop() == ExitCode.DONE


def test_a_flood_of_an_unknown_schema_is_left_where_it_is(scene: Scene, topics: str) -> None:
    """
    Until the workers are upgraded; SIGTERM ends one at once, with nothing delivered.

    Or until a worker is told to let it through: then it is dead letters that a replay takes back.
    """
    worker = scene.start("a")
    flood = [
        broken_message("unknown_schema", Listing(f"l-{n}", "Loft"), f"e-{n}", AT)
        for n in range(300)
    ]
    scene.send([(message.key, message.value, message.headers) for message in flood])
    eventually(lambda: is_open(worker), "the circuit opens")
    why, dead = condition(worker)["why"], scene.dead()
    eventually(lambda: sum(lag(worker).values()) == 300 - dead.total(), "the rest waits")
    code = worker.stop(20)

    assert code == ExitCode.DONE
    assert dead.total() <= ALLOWED
    assert scene.dead() == dead
    assert "unknown_schema" in why
    assert "upgrade the worker" in why
    through = scene.start("a", WORKER_CIRCUIT_SHARE="1")
    eventually(lambda: scene.dead().total() == 300, "all are dead letters", 60)
    assert through.stop() == ExitCode.DONE
    assert Replay(scene.kafka, topics, Choice(disposition="systemic")).preview().sent == 300


def test_rebalances_and_kills_of_paused_workers_cost_nothing(scene: Scene) -> None:
    """One comes, one is killed, one is stopped: what waited is answered once by who is left."""
    first = scene.start("a")
    scene.release(first, breaks=True)
    places = scene.send(listings(400))
    eventually(lambda: is_open(first), "the circuit opens")
    second = scene.start("b", ready=False)
    eventually(lambda: len(lag(first)) == len(lag(second)) == 2, "they share", 40)
    first.process.kill()
    eventually(lambda: len(lag(second)) == 4 and is_open(second), "the other waits with all", 40)
    third = scene.start("c", ready=False)
    eventually(lambda: len(lag(second)) == len(lag(third)) == 2, "they share again", 40)
    code = third.stop(20)
    eventually(lambda: len(lag(second)) == 4, "the other has all again", 40)
    dead = scene.dead()
    scene.release(second, scale=11)
    settled = scene.settled(places)

    assert code == ExitCode.DONE
    assert dead.total() <= 3 * ALLOWED
    assert scene.dead() == dead
    assert settled == Counter(places)
    assert second.stop() == ExitCode.DONE
