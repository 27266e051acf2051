"""Listings and labels reach a real broker: all of them, in order, with what a reader needs."""

import time

import pytest

from roomstream.listings import Listing
from roomstream.ports import reserved_port
from roomstream.reading import TopicReader
from roomstream.sending import Pace, Sender, Sent, send_listings
from runtime.records import Record
from runtime.settings import KafkaSettings
from schemas.codec import decode
from schemas.errors import TryAgain
from schemas.events import LabelledEvent, ListingEvent
from schemas.topics import Topic

LISTINGS = [Listing(f"l-{n % 7}", f"Loft {n}", label="Entire home/apt") for n in range(300)]


def read(kafka: KafkaSettings, prefix: str, topic: Topic, count: int) -> list[Record]:
    records: list[Record] = []
    deadline = time.monotonic() + 20
    with TopicReader(kafka, prefix, topic) as reader:
        while len(records) < count and time.monotonic() < deadline:
            records += reader.poll()
        return records + reader.poll(0.5)


def test_every_listing_arrives_and_those_of_one_id_in_order(
    kafka_settings: KafkaSettings, topics: str
) -> None:
    """The key keeps the events of a listing in the order of the file."""
    sent = send_listings(kafka_settings, topics, LISTINGS)
    records = read(kafka_settings, topics, Topic.LISTINGS, len(LISTINGS))
    titles: dict[str, list[str]] = {}
    for record in records:
        event = decode(Topic.LISTINGS, record.value or b"", record.headers)
        assert isinstance(event, ListingEvent)
        assert (record.key or b"").decode() == event.listing_id
        titles.setdefault(event.listing_id, []).append(event.title)

    assert Sent(len(LISTINGS), 0) == sent
    assert {
        f"l-{n}": [x.title for x in LISTINGS if x.listing_id == f"l-{n}"] for n in range(7)
    } == titles


def test_a_share_of_the_labels_goes_with_them(kafka_settings: KafkaSettings, topics: str) -> None:
    """Chosen at random with that propensity; listings without a label have none to send."""
    listings = [*LISTINGS, Listing("unknown", "Who knows")]
    sent = send_listings(kafka_settings, topics, listings, labelled=0.5, seed=3)
    records = read(kafka_settings, topics, Topic.LABELLED, sent.labels)
    events = [decode(Topic.LABELLED, r.value or b"", r.headers) for r in records]

    assert sent.events == 301
    assert 110 < sent.labels < 190
    assert len(events) == sent.labels
    for event in events:
        assert isinstance(event, LabelledEvent)
        assert (event.origin, event.propensity, event.label) == ("import", 0.5, "Entire home/apt")


def test_a_sender_says_where_each_message_went(kafka_settings: KafkaSettings, topics: str) -> None:
    """The place that a result will name, once the broker has the message."""
    places: list[tuple[int, int]] = []
    with Sender(kafka_settings, topics) as sender:
        for number in range(50):
            sender.send(
                Topic.LISTINGS,
                str(number).encode(),
                None if number == 7 else b"anything",
                placed=lambda partition, offset: places.append((partition, offset)),
            )
    records = read(kafka_settings, topics, Topic.LISTINGS, 50)

    assert sorted((record.partition, record.offset) for record in records) == sorted(places)
    assert [record.key for record in records if record.value is None] == [b"7"]


def test_a_broker_out_of_reach_is_named() -> None:
    """Neither a hang nor a traceback."""
    with reserved_port() as port:
        kafka = KafkaSettings(bootstrap_servers=f"127.0.0.1:{port}")

        with pytest.raises(TryAgain, match=kafka.bootstrap_servers):
            Sender(kafka, "")


def test_a_pace_spreads_steps_evenly() -> None:
    """Fifty steps a second: twenty take about 0.4 s, and a late one is not followed by a burst."""
    pace, started = Pace(50), time.monotonic()
    for _ in range(20):
        pace.wait()

    assert time.monotonic() - started >= 0.37
    time.sleep(0.2)
    resumed = time.monotonic()
    for _ in range(5):
        pace.wait()
    assert time.monotonic() - resumed >= 0.055


def test_without_a_rate_nothing_waits() -> None:
    """As fast as they come."""
    pace, started = Pace(None), time.monotonic()
    for _ in range(1_000):
        pace.wait()

    assert time.monotonic() - started < 1
