"""A dead letter sent back to real workers is a new listing with its own answer, on both engines."""

import pytest
from kafka import KafkaProducer

from artefacts.store import Store
from roomstream.audit import run_audit
from roomstream.broken_messages import broken_message
from roomstream.letter_replay import Replay
from roomstream.letters import Choice
from roomstream.listings import Listing, listing_message
from roomstream.live import make_live
from roomstream.reading import committed_offsets
from runtime.kafka import kafka_arguments
from runtime.records import DEAD_PREFIX
from runtime.settings import KafkaSettings, SharedSettings
from schemas.errors import ExitCode
from schemas.topics import Topic
from tests.kafka_io import Message, read_until, send
from tests.processes import eventually
from tests.releases import KABOOM, tiny_release
from tests.workers.brokers import ON_KAFKA
from tests.workers.listings import AT, answers, listings, read_answers
from tests.workers.processes import Fleet

BROKEN = 20
TRACE = ("traceparent", b"00-1-2-01")


def dying() -> list[Message]:
    """Listings that break inference, and two that no release will answer."""
    made: list[Message] = []
    for number in range(BROKEN):
        listing = Listing(f"l-{number}", f"{KABOOM} habitación privada {number}")
        message = listing_message(listing, f"k-{number}", AT)
        made.append((message.key, message.value, [*message.headers, TRACE]))
    for error in ("not_json", "missing_field"):
        broken = broken_message(error, Listing("l-x", "Loft"), f"b-{error}", AT)
        made.append((broken.key, broken.value, broken.headers))
    return made


def leave_open(kafka: KafkaSettings, prefix: str) -> None:
    """Be a replay that dies within its transaction: what it sent was never sent."""
    producer = KafkaProducer(
        **kafka_arguments(kafka), transactional_id=f"{prefix}roomstream-dead-replay"
    )
    producer.init_transactions()
    producer.begin_transaction()
    for number, (key, value, _) in enumerate(listings(40)):
        producer.send(Topic.LISTINGS.named(prefix), key=key, value=value, partition=number % 4)
    producer.flush()
    producer.close(timeout=0)


@ON_KAFKA
@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
def test_letters_are_answered_once_the_world_is_mended(
    fleet: Fleet,
    kafka_settings: KafkaSettings,
    shared: SharedSettings,
    store: Store,
    topics: str,
    delivery: str,
) -> None:
    """Those that a new release can answer are; the audit is whole, and nothing goes back twice."""
    worker = fleet.start(WORKER_DELIVERY=delivery, WORKER_SLOT="a")
    name = Topic.LISTINGS.named(topics)
    first = send(kafka_settings, name, [*listings(30), *dying()])
    read_until(kafka_settings, topics, Topic.DEAD, lambda found: len(found) >= BROKEN + 2)
    mended = tiny_release(store, breaks_on="nothing").release
    make_live(kafka_settings, shared, mended, "no longer breaks")
    eventually(lambda: mended in str(worker.metric("live_release_info")), "the mended release")

    leave_open(kafka_settings, topics)
    replay = Replay(kafka_settings, topics, Choice(disposition="systemic"), batch=6)
    tally = replay.run()
    again = replay.run()
    records = read_until(
        kafka_settings, topics, Topic.LISTINGS, lambda found: len(found) >= len(first) + BROKEN
    )
    sent_back = [x for x in records if (x.partition, x.offset) not in first]
    answered = read_answers(kafka_settings, topics, [(x.partition, x.offset) for x in sent_back])

    assert (tally.sent, tally.not_chosen) == (BROKEN, 2)
    assert (again.sent, again.already_replayed) == (0, BROKEN)
    assert worker.stop() == ExitCode.DONE
    found = [event.event_id for event in answers(answered) if event.event_id.startswith("k-")]
    assert sorted(found) == sorted(f"k-{number}" for number in range(BROKEN))
    assert all((DEAD_PREFIX + "attempts", b"1") in record.headers for record in sent_back)
    assert not any(
        header.startswith(DEAD_PREFIX) for record in answered for header, _ in record.headers
    )
    assert sum(TRACE in record.headers for record in answered) == BROKEN
    group = f"{topics}roomstream-workers"
    audits = run_audit(kafka_settings, topics, group)
    assert all(audit.whole for audit in audits), audits
    assert sum(audit.answered for audit in audits) == 30 + BROKEN
    assert sum(audit.dead for audit in audits) == BROKEN + 2
    following = committed_offsets(kafka_settings, group, name)
    assert all(record.offset < following[record.partition] for record in records)


@ON_KAFKA
@pytest.mark.usefixtures("live")
def test_what_was_never_committed_does_not_hold_commits_back(
    fleet: Fleet, kafka_settings: KafkaSettings, topics: str
) -> None:
    """Faust alone would never commit again where the first message stands before such a gap."""
    worker, name = fleet.start(), Topic.LISTINGS.named(topics)
    group = f"{topics}roomstream-workers"

    def committed(places: list[tuple[int, int]]) -> bool:
        following = committed_offsets(kafka_settings, group, name)
        return all(offset < following.get(partition, 0) for partition, offset in places)

    first = send(kafka_settings, name, listings(1))
    eventually(lambda: committed(first), "the first one is committed")
    leave_open(kafka_settings, topics)
    assert Replay(kafka_settings, topics, Choice()).run().sent == 0  # ends what was left open
    places = [*first, *send(kafka_settings, name, listings(40))]
    answered = read_answers(kafka_settings, topics, places)
    eventually(lambda: committed(places), "all are committed")

    assert worker.stop() == ExitCode.DONE
    assert len(answered) == len(places)
