"""Real worker processes on real brokers: what comes out, what is shown, how they end."""

import json
import os
import signal
import socket
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from artefacts.store import Store
from roomstream.broken_messages import BREAKAGES, broken_message
from roomstream.brokers import Broker
from roomstream.listings import Listing, listing_message
from roomstream.live import make_live
from roomstream.review_queue import read_queue
from runtime.dead_letters import read_dead_letter
from runtime.settings import KafkaSettings, SharedSettings
from schemas.errors import ExitCode
from schemas.events import MAX_PAYLOAD_BYTES
from schemas.topics import Topic
from tests.kafka_io import Message, read_until, send
from tests.processes import eventually, own_port
from tests.releases import KABOOM, tiny_release
from tests.workers.brokers import ON_EMBEDDED, ON_KAFKA
from tests.workers.listings import AT, answers, lag, listings, positions, read_answers
from tests.workers.processes import Fleet, WorkerProcess
from tests.workers.traffic import repeats


@pytest.mark.usefixtures("live")
def test_every_message_becomes_one_answer_dead_letter_or_skip(
    fleet: Fleet, kafka_settings: KafkaSettings, topics: str
) -> None:
    """Broken ones die with their bytes and headers, and take no neighbour with them."""
    trace = ("traceparent", b"00-1-2-01")
    good = [(key, value, [*headers, trace]) for key, value, headers in listings(60)]
    broken = [
        broken_message(error, Listing("l-x", "Loft"), f"b-{error}", AT)
        for error in sorted(BREAKAGES)
    ]
    bad = [(message.key, message.value, [*message.headers, trace]) for message in broken]
    kaboom = listing_message(Listing("l-y", f"{KABOOM} loft"), "k-1", AT)
    huge = (b"\xff", b"\x00" * 900_000, [("x", b"\xfe")])
    dying: list[Message] = [*bad, (kaboom.key, kaboom.value, kaboom.headers), huge]
    messages = [*good[:30], *dying, (b"l-1", None, []), *good[30:]]
    places = send(kafka_settings, Topic.LISTINGS.named(topics), messages)
    worker = fleet.start()
    answered = [*places[:30], *places[-30:]]
    classified = read_answers(kafka_settings, topics, answered)
    dead = read_until(kafka_settings, topics, Topic.DEAD, lambda found: len(found) >= len(dying))
    eventually(lambda: set(lag(worker).values()) == {0.0}, f"no lag: {lag(worker)}")

    assert positions(classified) == Counter(answered)
    assert {f"e-{n}" for n in range(60)} == {event.event_id for event in answers(classified)}
    assert all(trace in record.headers for record in classified)
    letters = [read_dead_letter(record) for record in dead]
    assert Counter((key, value, tuple(headers)) for key, value, headers in dying) == Counter(
        (x.original.key, x.original.value, x.original.headers) for x in letters
    )
    assert Counter([*BREAKAGES, "inference", "too_large"]) == Counter(x.error for x in letters)
    assert worker.stop() == ExitCode.DONE
    read_again = read_until(
        kafka_settings, topics, Topic.CLASSIFIED, lambda found: len(found) >= 60
    )
    assert len(read_again) == 60


@ON_KAFKA
@pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
@pytest.mark.usefixtures("live")
def test_a_message_at_the_brokers_limit_does_not_block_its_partition(
    fleet: Fleet, kafka_settings: KafkaSettings, topics: str, delivery: str
) -> None:
    """A dead letter that would be too large is cut short, its neighbours are not, the rest goes on."""
    brims: list[Message] = [
        (b"l-1", b"x" * 1_048_400, [("trace", b"1")]),
        (b"k" * 1_048_400, b"{", []),
        (b"l-1", b"x" * 500_000, [("trace", b"1")]),
    ]
    messages = [*listings(20, ids=1), *brims, *listings(20, 20, ids=1)]
    places = send(kafka_settings, Topic.LISTINGS.named(topics), messages)
    fleet.start(WORKER_DELIVERY=delivery)
    read_answers(kafka_settings, topics, [*places[:20], *places[23:]])
    dead = read_until(kafka_settings, topics, Topic.DEAD, lambda found: len(found) > 2)
    letters = {(x.partition, x.offset): x for x in map(read_dead_letter, dead)}
    long_value, long_key, fits = (letters[place] for place in places[20:23])

    assert (long_value.error, long_key.error, fits.error) == ("too_large", "not_json", "too_large")
    assert long_value.original.key == b"l-1"
    assert (brims[0][1] or b"").startswith(long_value.original.value or b"?")
    assert len(long_value.original.value or b"") > MAX_PAYLOAD_BYTES
    assert (brims[1][0] or b"").startswith(long_key.original.key or b"?")
    assert fits.original.value == brims[2][1]
    assert fits.original.headers == (("trace", b"1"),)


def test_probes_and_metrics_say_what_happens(
    fleet: Fleet, kafka_settings: KafkaSettings, shared: SharedSettings, store: Store, topics: str
) -> None:
    """Not ready before there is a release; then ready, and every documented metric is plausible."""
    worker = fleet.start(ready=False)
    eventually(lambda: worker.get("/readyz")[0] == 503, "it is not ready")
    assert worker.get("/healthz")[0] == 200
    assert not json.loads(worker.get("/readyz")[1])["conditions"]["release"]["ok"]
    release = tiny_release(store).release
    make_live(kafka_settings, shared, release, "the first one")
    eventually(worker.ready, "it is ready")
    partitions = {str(partition) for partition in range(4)}
    eventually(lambda: lag(worker) == dict.fromkeys(partitions, 0.0), "no lag, nothing committed")

    messages = [*listings(50), (b"l-1", None, []), (b"l-1", b"{", [])]
    places = send(kafka_settings, Topic.LISTINGS.named(topics), messages)
    read_answers(kafka_settings, topics, places[:50])
    done = {"classified": 50.0, "dead": 1.0, "skipped": 1.0}
    eventually(
        lambda: {labels[0][1]: n for labels, n in worker.metric("events_total").items()} == done,
        "all are counted",
    )
    tokens, texts = (
        {labels[0][1]: value for labels, value in worker.metric(f"{name}_total").items()}
        for name in ("tokens", "texts")
    )

    assert sum(texts.values()) == 50
    assert 1 <= texts["run"] <= 4  # different titles, unless they are golden inputs
    assert 3 * texts["run"] <= tokens["real"] <= tokens["padded"] < 16 * texts["run"]
    assert worker.metric("dead_letters_total")[("stage", "decode"),] == 1
    assert worker.metric("live_release_info") == {(("release", release),): 1.0}
    assert worker.metric("reloads_total")[("outcome", "initial"),] == 1
    assert 8 <= worker.metric("window_events")[()] <= 256
    assert {"decode", "tokenise", "infer", "deliver"} == {
        labels[0][1] for labels in worker.metric("stage_duration_seconds_count")
    }
    eventually(lambda: lag(worker) == dict.fromkeys(partitions, 0.0), "no lag")


@ON_KAFKA
def test_a_scrape_never_misses_a_partition(
    fleet: Fleet, live: str, kafka_settings: KafkaSettings, topics: str
) -> None:
    """The lag of an assigned partition is there in every scrape, and gone once it is revoked."""
    worker = fleet.start()
    eventually(lambda: len(lag(worker)) == 4, "all partitions are shown")
    send(kafka_settings, Topic.LISTINGS.named(topics), listings(40))
    scrapes = [len(lag(worker)) for _ in range(150)]
    other = fleet.start()
    eventually(lambda: len(lag(worker)) == len(lag(other)) == 2, "each shows its own")

    assert live
    assert {4} == set(scrapes)
    assert set(lag(worker)) | set(lag(other)) == {"0", "1", "2", "3"}


@pytest.mark.usefixtures("live")
def test_answers_of_one_listing_keep_the_order_of_its_events(
    fleet: Fleet, kafka_settings: KafkaSettings, topics: str
) -> None:
    """The key keeps them on one partition, and a window keeps their order."""
    places = send(kafka_settings, Topic.LISTINGS.named(topics), listings(300, ids=7))
    fleet.start()
    records = read_answers(kafka_settings, topics, places)
    by_listing: dict[str, list[int]] = {}
    for record, event in zip(records, answers(records), strict=True):
        assert (record.key or b"").decode() == event.listing_id
        by_listing.setdefault(event.listing_id, []).append(int(event.event_id[2:]))

    assert {f"l-{n}": list(range(n, 300, 7)) for n in range(7)} == by_listing


@ON_EMBEDDED
@pytest.mark.usefixtures("live")
def test_it_asks_within_its_budget_and_explores(
    fleet: Fleet, kafka_settings: KafkaSettings, topics: str
) -> None:
    """Answers carry propensities, metrics agree, and what is asked waits for people."""
    places = send(kafka_settings, Topic.LISTINGS.named(topics), listings(400, ids=400))
    worker = fleet.start(
        WORKER_REVIEW_BUDGET="0.1", WORKER_REVIEW_SHARE="0.02", WORKER_EXPLORE="0.3"
    )
    found = answers(read_answers(kafka_settings, topics, places))
    eventually(lambda: worker.metric("events_total")[("outcome", "classified"),] == 400, "counted")
    queue = read_queue(kafka_settings, topics)
    explored = [each for each in found if each.confidence < max(each.scores.values())]

    assert {round(each.propensity or 1, 9) for each in found} == {0.7, 0.1}
    assert 60 < len(explored) < 180
    assert worker.metric("explored_total")[()] == len(explored)
    assert 15 < len(queue.waiting("uncertain")) < 70
    assert sum(worker.metric("review_requests_total").values()) == len(queue.waiting())
    assert worker.metric("review_entropy_nats")[()] >= 0


def test_a_release_is_taken_up_under_traffic(
    fleet: Fleet,
    live: str,
    kafka_settings: KafkaSettings,
    shared: SharedSettings,
    store: Store,
    topics: str,
) -> None:
    """No restart, no answer lost or repeated, and each names the release that gave it."""
    worker = fleet.start()
    names = Topic.LISTINGS.named(topics)
    places = send(kafka_settings, names, listings(100))
    eventually(lambda: worker.metric("events_total")[("outcome", "classified"),] == 100, "answered")
    newer = tiny_release(store, scale=10, parent=live).release
    make_live(kafka_settings, shared, newer, "learned")
    first = 100
    while (("release", newer),) not in worker.metric("live_release_info"):
        places += send(kafka_settings, names, listings(20, first))
        first += 20
    places += send(kafka_settings, names, listings(100, first))
    records = read_answers(kafka_settings, topics, places)

    assert positions(records) == Counter(places)
    assert {live, newer} == {event.release for event in answers(records)}
    assert worker.process.poll() is None
    assert worker.stop() == ExitCode.DONE


@pytest.mark.usefixtures("live")
def test_sigterm_drains_without_a_repeat(
    fleet: Fleet, kafka_settings: KafkaSettings, topics: str
) -> None:
    """In mid traffic: exit code 0 within 20 s, and the next worker goes on where it stopped."""
    places = send(kafka_settings, Topic.LISTINGS.named(topics), listings(1500))
    first = fleet.start(WORKER_MAX_WINDOW="1")
    eventually(lambda: sum(lag(first).values()) < 1490, "it is busy")
    code = first.stop(20)
    drained = first.lines()[-1]
    fleet.start()
    records = read_answers(kafka_settings, topics, places)

    assert code == ExitCode.DONE
    assert drained["event"] == "drained"
    assert 0 < drained["events"] < 1500
    assert positions(records) == Counter(places)
    assert not list(Path.cwd().glob(f"{topics}*"))  # Faust would keep a folder here


def _ended(worker: WorkerProcess) -> tuple[int, str]:
    """The exit code, and why, by its last line."""
    code = worker.ended(45)
    last = worker.lines()[-1]
    assert ("ended", "error", code) == (last["event"], last["level"], last["exit_code"])
    return code, last["why"]


@ON_EMBEDDED
def test_without_topics_it_says_how_to_make_them(fleet: Fleet, topic_prefix: str) -> None:
    """A restart would not help: exit code 2."""
    code, why = _ended(fleet.start(ready=False))

    assert code == ExitCode.USAGE
    assert f"{topic_prefix}listings" in why
    assert "roomstream topics create" in why


@ON_EMBEDDED
@pytest.mark.usefixtures("topics")
def test_without_a_release_it_says_how_to_make_one(fleet: Fleet) -> None:
    """After the wait that it was given: exit code 3."""
    code, why = _ended(fleet.start(ready=False, WORKER_RELEASE_WAIT_SECONDS="1"))

    assert code == ExitCode.RELEASE
    assert "within 1 s" in why
    assert "roomstream base import" in why


@ON_EMBEDDED
@pytest.mark.usefixtures("live")
def test_an_occupied_port_is_named(fleet: Fleet) -> None:
    """With the setting to change: exit code 2."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, why = _ended(fleet.start(ready=False, WORKER_METRICS_PORT=port))

    assert code == ExitCode.USAGE
    assert "WORKER_METRICS_PORT" in why
    assert port in why


def test_a_broker_out_of_reach_is_named(shared: SharedSettings, tmp_path: Path) -> None:
    """After the wait that it was given, a supervisor tries again: exit code 75."""
    kafka = KafkaSettings(bootstrap_servers=f"127.0.0.1:{own_port()}")
    fleet = Fleet(kafka, shared, tmp_path)
    code, why = _ended(fleet.start(ready=False, WORKER_RELEASE_WAIT_SECONDS="1"))

    assert code == ExitCode.TRY_AGAIN
    assert kafka.bootstrap_servers in why
    assert "KAFKA_BOOTSTRAP_SERVERS" in why


@ON_KAFKA
@pytest.mark.usefixtures("live")
def test_the_longest_session_is_allowed(fleet: Fleet) -> None:
    """Whatever the settings take, the clients take."""
    worker = fleet.start(WORKER_SESSION_TIMEOUT_SECONDS="300")

    assert worker.stop() == ExitCode.DONE


@ON_KAFKA
@pytest.mark.usefixtures("live")
def test_several_processes_stand_under_a_supervisor(
    fleet: Fleet, broker: Broker, kafka_settings: KafkaSettings, topics: str
) -> None:
    """One that is killed takes over from itself; each has its slot and port; SIGTERM drains all."""
    assert broker
    first, second = _free_pair()
    parent = fleet.start(
        ready=False,
        WORKER_DELIVERY="exactly-once",
        WORKER_SLOT="0",
        WORKER_PROCESSES="2",
        WORKER_METRICS_PORT=str(first),
    )
    for port in (first, second):
        eventually(partial(_ready, parent, port), f"{port} is ready", 40)
    places = send(kafka_settings, Topic.LISTINGS.named(topics), listings(100))
    read_answers(kafka_settings, topics, places)
    pids = {line["child"]: line["pid"] for line in parent.lines() if line["event"] == "started"}
    os.kill(pids["worker 0-1"], signal.SIGKILL)
    eventually(
        lambda: any(line["event"] == "restarted" for line in parent.lines()), "it is restarted"
    )
    eventually(partial(_ready, parent, second), "it is ready again", 40)
    places += send(kafka_settings, Topic.LISTINGS.named(topics), listings(100, 100))
    repeated = repeats(kafka_settings, topics, places)
    code = parent.stop(25)

    assert set(pids) == {"worker 0-0", "worker 0-1"}
    assert repeated == 0
    assert code == ExitCode.DONE
    drained = [line for line in parent.lines() if line["event"] == "drained"]
    assert len(drained) == 2
    assert parent.get("/healthz", first)[0] == parent.get("/healthz", second)[0] == 0


def _ready(worker: WorkerProcess, port: int) -> bool:
    return worker.get("/readyz", port)[0] == 200


def _free_pair() -> tuple[int, int]:
    while True:
        port = own_port()
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port, port + 1
