"""
The contract in other languages: JSON Schema and Avro of every event, AsyncAPI 3 of every topic.

All of it is derived from `schemas.events` and `schemas.topics`, which stay the one source. JSON Schema
is of draft 2020-12, Avro as in its specification 1.12 (times are logical type timestamp-micros there),
AsyncAPI as in https://www.asyncapi.com/docs/reference/specification/v3.0.0.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import inspect

from schemas.codec import SCHEMA_HEADER, VERSION, schema_name
from schemas.events import Event
from schemas.topics import TOPICS, TopicSpec

Schema = dict[str, Any]

NAMESPACE = "roomstream"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DEAD_HEADERS = {
    "dead-stage": "Where it failed, such as decode or infer.",
    "dead-error": "The class of the error, such as missing_field.",
    "dead-message": "What is wrong, in words.",
    "dead-topic": "The topic that it came from.",
    "dead-partition": "The partition that it came from.",
    "dead-offset": "The offset that it had there.",
    "dead-release": "The release that was live; empty if none was.",
    "dead-attempts": "How often it has failed.",
    "dead-disposition": "poison: it will never work as it is; systemic: it may work later.",
}


def exported_files() -> dict[str, str]:
    """All generated files: text by path relative to `schemas/`."""
    files: dict[str, Schema] = {}
    for event in _events():
        name = schema_name(event).replace("/", "-v")
        files[f"json/{name}.schema.json"] = json_schema(event)
        files[f"avro/{name}.avsc"] = avro_schema(event)
    files["asyncapi.json"] = asyncapi()
    return {path: _text(schema) for path, schema in files.items()}


def json_schema(event: type[Event]) -> Schema:
    """The JSON Schema of an event's value."""
    _, components = msgspec.json.schema_components([event], ref_template="#/$defs/{name}")
    own = components.pop(event.__name__)
    schema = {
        "$schema": _DIALECT,
        "$id": f"urn:{NAMESPACE}:{schema_name(event).replace('/', ':')}",
        **own,
        "description": _doc(event),
    }
    if components:
        schema["$defs"] = components
    return schema


def avro_schema(event: type[Event]) -> Schema:
    """The Avro record of an event."""
    return _avro_record(event)


def asyncapi() -> Schema:
    """The AsyncAPI document: a channel for every topic, with its messages."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "roomstream",
            "version": str(VERSION),
            "description": "Room-listing events in, classifications out, labels to learn from. Names "
            "of topics may carry a prefix (ROOMSTREAM_TOPIC_PREFIX).",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {spec.topic.value: _channel(spec) for spec in TOPICS},
        "operations": {
            f"{_action(spec)}-{spec.topic.value}": {
                "action": _action(spec),
                "channel": {"$ref": f"#/channels/{spec.topic.value}"},
                "summary": f"Written by {spec.made_by}.",
            }
            for spec in TOPICS
        },
        "components": {"messages": {event.__name__: _message(event) for event in _events()}},
    }


def _events() -> list[type[Event]]:
    return list(dict.fromkeys(event for spec in TOPICS for event in spec.events))


def _text(schema: Schema) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _doc(event: type[msgspec.Struct]) -> str:
    return re.sub(r"\s+", " ", event.__doc__ or "").strip()


# --- AsyncAPI ---


def _action(spec: TopicSpec) -> str:
    """What roomstream does with a topic: it receives what others make, and sends its own."""
    ours = any(maker in spec.made_by for maker in ("workers", "trainer"))
    return "send" if ours else "receive"


def _channel(spec: TopicSpec) -> Schema:
    messages = {
        event.__name__: {"$ref": f"#/components/messages/{event.__name__}"} for event in spec.events
    } or {"DeadLetter": _dead_letter(), "ReplayMarker": _replay_marker()}
    return {
        "address": spec.topic.value,
        "description": spec.doc,
        "messages": messages,
        "bindings": {
            "kafka": {
                "topic": spec.topic.value,
                **({"partitions": spec.partitions} if spec.partitions else {}),
                "topicConfiguration": {
                    "cleanup.policy": ["compact" if spec.compacted else "delete"],
                    **({} if spec.compacted else {"retention.ms": spec.retention_ms}),
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _message(event: type[Event]) -> Schema:
    spec = next(spec for spec in TOPICS if event in spec.events)
    return {
        "name": event.__name__,
        "summary": _doc(event),
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "properties": {
                SCHEMA_HEADER: {
                    "const": schema_name(event),
                    "description": "Type and version; may be left out for the first type of a topic.",
                }
            },
        },
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": json_schema(event),
        },
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": f"The {spec.key}."},
                "bindingVersion": "0.5.0",
            }
        },
        "x-max-payload-bytes": spec.max_payload_bytes,
    }


def _dead_letter() -> Schema:
    return {
        "name": "DeadLetter",
        "summary": "The original bytes of a message that could not be handled, with its own headers "
        "and those that say why.",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "properties": {
                name: {"type": "string", "description": doc} for name, doc in _DEAD_HEADERS.items()
            },
        },
    }


def _replay_marker() -> Schema:
    doc = "The offset, in this partition, of the dead letter that was sent back."
    return {
        "name": "ReplayMarker",
        "summary": "A dead letter was sent back to where it came from; this message has no value.",
        "headers": {
            "type": "object",
            "properties": {"dead-replayed": {"type": "string", "description": doc}},
            "required": ["dead-replayed"],
        },
        "payload": {"type": "null"},
    }


# --- Avro ---


def _avro_record(event: type[msgspec.Struct]) -> Schema:
    info = inspect.type_info(event)
    assert isinstance(info, inspect.StructType)
    return {
        "type": "record",
        "name": event.__name__,
        "namespace": NAMESPACE,
        "doc": _doc(event),
        "fields": [_avro_field(event, field) for field in info.fields],
    }


def _avro_field(event: type[msgspec.Struct], field: inspect.Field) -> Schema:
    kind = _avro_type(event, field.encode_name, field.type)
    schema: Schema = {"name": field.encode_name, "type": kind}
    docs = list(_descriptions(field.type))
    if docs:
        schema["doc"] = " ".join(docs)
    if field.default is not msgspec.NODEFAULT:
        schema["default"] = field.default
    return schema


def _avro_type(event: type[msgspec.Struct], name: str, kind: inspect.Type) -> Any:
    if isinstance(kind, inspect.Metadata):
        return _avro_type(event, name, kind.type)
    if isinstance(kind, inspect.UnionType):
        members = [_avro_type(event, name, member) for member in kind.types]
        return sorted(members, key=lambda member: member != "null")  # the default comes first
    if isinstance(kind, inspect.LiteralType):
        enum = f"{event.__name__}{name.title().replace('_', '')}"
        return {"type": "enum", "name": enum, "symbols": list(kind.values)}
    if isinstance(kind, inspect.StructType):
        return _avro_record(kind.cls)
    if isinstance(kind, inspect.DictType):
        return {"type": "map", "values": _avro_type(event, name, kind.value_type)}
    return _AVRO[type(kind)]


_AVRO: dict[type[inspect.Type], Any] = {
    inspect.StrType: "string",
    inspect.IntType: "long",
    inspect.FloatType: "double",
    inspect.BoolType: "boolean",
    inspect.NoneType: "null",
    inspect.DateTimeType: {"type": "long", "logicalType": "timestamp-micros"},
}


def _descriptions(kind: inspect.Type) -> Iterable[str]:
    if isinstance(kind, inspect.Metadata):
        found = (kind.extra_json_schema or {}).get("description")
        if found:
            yield found
        yield from _descriptions(kind.type)
    elif isinstance(kind, inspect.UnionType):
        for member in kind.types:
            yield from _descriptions(member)
