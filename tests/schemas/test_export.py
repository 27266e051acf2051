"""The generated files are current, and they describe what is on the wire."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import fastavro
import jsonschema
import msgspec
import pytest

from schemas.codec import encode, schema_name
from schemas.events import (
    Classification,
    Deletion,
    Event,
    Feedback,
    FineTuneRequest,
    InputPosition,
    LabelledEvent,
    ListingEvent,
    ReleaseAnnouncement,
    ReviewRequest,
    TrainerClaim,
)
from schemas.export import asyncapi, avro_schema, exported_files, json_schema
from schemas.topics import TOPICS

NOON = datetime(2026, 11, 24, 13, 0, 0, 250_000, tzinfo=timezone(timedelta(hours=1)))
PLACE = InputPosition(topic="listings", partition=3, offset=42)
LISTING = ListingEvent(
    event_id="e1", listing_id="l1", title="Habitación privada 🌿", language="es", occurred_at=NOON
)
EVENTS: list[Event] = [
    LISTING,
    Classification(
        event_id="e1",
        listing_id="l1",
        label="Private room",
        scores={"Private room": 0.75, "Shared room": 0.25},
        confidence=0.75,
        needs_review=False,
        release="r1",
        input=PLACE,
        classified_at=NOON,
    ),
    ReviewRequest(
        event=LISTING,
        label="Private room",
        scores={"Private room": 0.5, "Shared room": 0.5},
        reason="uncertain",
        propensity=1.0,
        release="r1",
        input=PLACE,
        requested_at=NOON,
    ),
    LabelledEvent(
        event_id="e2",
        listing_id="l1",
        title="Bright private room",
        label="Private room",
        labelled_at=NOON,
        origin="person",
    ),
    Feedback(
        event_id="e3",
        listing_id="l1",
        title="Cama compartida",
        label="Private room",
        accepted=False,
        labelled_at=NOON,
    ),
    Deletion(event_id="e4", listing_id="l1", deleted_at=NOON),
    ReleaseAnnouncement(
        channel="live",
        release="r1",
        manifest_digest="0" * 64,
        store="file:///store",
        why="learned 100 labels",
        announced_at=NOON,
        epoch=3,
    ),
    TrainerClaim(epoch=3, trainer="host:1", claimed_at=NOON),
    FineTuneRequest(request_id="r1", why="a new city", requested_at=NOON),
]
every_event = pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)


def _checked_in() -> Path | None:
    """The checkout's `schemas/`, if the tests run in one."""
    folder = Path(__file__).parents[2] / "schemas"
    return folder if (folder / "asyncapi.json").exists() else None


def test_generated_files_are_current() -> None:
    """What is checked in under `schemas/` is what `roomstream schemas export` writes."""
    folder = _checked_in()
    if folder is None:
        pytest.skip("the tests do not run in a checkout, so that there is nothing to compare")

    found = {path: (folder / path).read_text() for path in exported_files()}
    assert exported_files() == found


@every_event
def test_json_schema_accepts_what_is_sent(event: Event) -> None:
    """A message on the wire is valid by the JSON Schema of its event."""
    value, _ = encode(event)
    schema = json_schema(type(event))
    jsonschema.Draft202012Validator.check_schema(schema)

    jsonschema.validate(json.loads(value), schema, cls=jsonschema.Draft202012Validator)


@every_event
def test_json_schema_refuses_what_lacks_a_field(event: Event) -> None:
    """Every field without a default is required by the schema too."""
    value, _ = encode(event)
    message = json.loads(value)
    required = json_schema(type(event))["required"]

    for name in required:
        without = {key: item for key, item in message.items() if key != name}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(without, json_schema(type(event)))


@every_event
def test_avro_round_trips(event: Event) -> None:
    """An Avro writer and reader keep an event as it is, its time in UTC."""
    schema = fastavro.parse_schema(avro_schema(type(event)))
    record: dict[str, Any] = msgspec.to_builtins(event, builtin_types=[datetime])
    buffer = _write(schema, record)
    read = fastavro.schemaless_reader(buffer, schema, None)

    back = msgspec.convert(read, type(event))
    assert event == back


@every_event
def test_every_field_is_documented(event: Event) -> None:
    """Every event, and every field that its name does not explain, says what it is."""
    schema = json_schema(type(event))
    undocumented = {
        name
        for name, field in schema["properties"].items()
        if "description" not in json.dumps(field) and "$ref" not in json.dumps(field)
    }

    assert schema["description"]
    assert set() == undocumented


def test_asyncapi_has_every_topic_and_message() -> None:
    """Every topic is a channel, every event a message of it, and every reference leads somewhere."""
    document = asyncapi()
    messages = {
        spec.topic.value: {event.__name__ for event in spec.events}
        or {"DeadLetter", "ReplayMarker"}
        for spec in TOPICS
    }

    assert messages == {
        name: set(channel["messages"]) for name, channel in document["channels"].items()
    }
    assert set(document["components"]["messages"]) == {
        event.__name__ for spec in TOPICS for event in spec.events
    }
    for operation in document["operations"].values():
        assert operation["channel"]["$ref"].removeprefix("#/channels/") in document["channels"]


def test_files_are_named_by_schema_and_version() -> None:
    """A reader finds the file of a message by its `schema` header."""
    name = schema_name(ListingEvent).replace("/", "-v")

    assert {f"json/{name}.schema.json", f"avro/{name}.avsc"} <= set(exported_files())


def _write(schema: Any, record: dict[str, Any]) -> Any:
    import io

    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema, record)
    buffer.seek(0)
    return buffer


def test_times_are_utc() -> None:
    """The moment is kept whatever the offset it was written with."""
    value, _ = encode(LISTING)

    assert NOON.astimezone(UTC) == datetime.fromisoformat(json.loads(value)["occurred_at"])
