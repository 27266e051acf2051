"""Listings to send to workers, and their answers read back."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from roomstream.listings import Listing, listing_message
from runtime.records import Record
from runtime.settings import KafkaSettings
from schemas.codec import decode
from schemas.events import Classification
from schemas.topics import Topic
from tests.kafka_io import Message, read_until
from tests.workers.processes import WorkerProcess

AT = datetime(2026, 11, 24, 9, tzinfo=UTC)


def listings(count: int, first: int = 0, ids: int = 40) -> list[Message]:
    """Events of some listings, in order."""
    titles = ("Entire loft", "Habitación privada", "litera compartida", "hotel suite")
    made = [
        listing_message(Listing(f"l-{n % ids}", titles[n % 4]), f"e-{n}", AT)
        for n in range(first, first + count)
    ]
    return [(message.key, message.value, message.headers) for message in made]


def answers(records: Sequence[Record]) -> list[Classification]:
    """Decode answers."""
    found = [decode(Topic.CLASSIFIED, record.value or b"", record.headers) for record in records]
    assert all(isinstance(event, Classification) for event in found), found
    return [event for event in found if isinstance(event, Classification)]


def positions(records: Sequence[Record]) -> Counter[tuple[int, int]]:
    """How often each input was answered."""
    return Counter((event.input.partition, event.input.offset) for event in answers(records))


def out_of_order(records: Sequence[Record]) -> list[str]:
    """Events whose first answer came after that of a later event of their listing."""
    last: dict[str, int] = {}
    seen: set[tuple[int, int]] = set()
    late = []
    for event in answers(records):
        place = (event.input.partition, event.input.offset)
        if place not in seen and event.input.offset < last.get(event.listing_id, -1):
            late.append(event.event_id)
        last[event.listing_id] = max(event.input.offset, last.get(event.listing_id, -1))
        seen.add(place)
    return late


def read_answers(
    kafka: KafkaSettings, prefix: str, places: Sequence[tuple[int, int]]
) -> list[Record]:
    """Read until every place is answered."""
    wanted = set(places)
    return read_until(
        kafka, prefix, Topic.CLASSIFIED, lambda found: wanted <= set(positions(found))
    )


def lag(worker: WorkerProcess) -> dict[str, float]:
    """Events that are not answered, by partition."""
    return {labels[0][1]: value for labels, value in worker.metric("lag_events").items()}


def listing_fields(number: int) -> dict[str, str]:
    """The fields of a listing event, to send or to break."""
    titles = ("Entire loft", "Habitación privada", "litera compartida", "hotel suite")
    return {
        "event_id": f"e-{number}",
        "listing_id": f"l-{number % 5_000}",
        "title": titles[number % 4],
        "description": "cerca del centro, near the market",
        "language": "es",
        "occurred_at": "2026-11-24T09:00:00Z",
        "source": "madrid",
    }
