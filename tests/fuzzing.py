"""
Messages as nobody should send them: mutations of a valid event, and bytes that never were one.

Everything follows from a seed: the same seed gives the same messages, so that what failed can be run
again.
"""

import gzip
import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Fields = Mapping[str, Any]
Headers = tuple[tuple[str, bytes | None], ...]

NEARLY_A_MEGABYTE = 1_000_000
BOMB_BYTES = 24_000_000
ODD_TEXTS = (
    "\u202eocirtnec otnematrapa\u202c",  # written from right to left
    "שקט ומרכזי · غرفة خاصة",
    "a\u200bp\u200dt\ufeff",  # joined by what has no width
    "Z̷a̴l̸g̶o̵" + "\u0336" * 400,
    "👨‍👩‍👧‍👦🏳️‍🌈" * 40,
    "\x00nul\x00",
    "\u2028\u2029\u0085\x1b[31m",
    "\ufb03 \u2460 \u337f \uff21\uff50\uff54",  # what normalisation makes longer or plain
    "\U0010ffff\ufffe",
    " \t\u3000\u2800",
    "x" * 2_000,
    "ñ" * 2_001,
)
ODD_NUMBERS = (
    "1e400",
    "-1e400",
    "NaN",
    "Infinity",
    "-0",
    "1" * 5_000,
    "1e-999",
    "0x1F",
    "01",
    "1.",
)
ODD_TIMES = (
    "9999-12-31T23:59:59.999999Z",
    "0001-01-01T00:00:00+23:59",
    "2026-02-30T00:00:00Z",
    "2026-11-24T09:00:60Z",
    "2026-11-24",
    "yesterday",
    "",
)
CODECS = (None, "gzip", "lz4", "snappy", "zstd")


@dataclass(frozen=True)
class Fuzzed:
    """
    A message to send.

    Attributes:
        kind: How it was made; `valid` ones are well in every way.
        key: Its key.
        value: Its value; None is a tombstone.
        headers: Names and values; Kafka lets a value be null.
        timestamp_ms: What its producer says; None for the time of sending.
        codec: How the batch that it is in is compressed.
    """

    kind: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp_ms: int | None = None
    codec: str | None = None


class RawName(str):
    """The name of a header that goes to Kafka as bytes that are not UTF-8 (by kafka-python)."""

    __slots__ = ()

    def encode(self, *_: str) -> bytes:
        """The bytes that its characters stand for."""
        return super().encode("latin-1")


def fuzzed(seed: int, count: int, example: Callable[[int], Fields]) -> Iterator[Fuzzed]:
    """
    Make messages.

    Args:
        seed: Decides everything.
        count: How many.
        example: The fields of a valid event with a number.
    """
    chance = random.Random(seed)
    codec = None
    for number in range(count):
        if number % 250 == 0:
            codec = chance.choice(CODECS)
        yield _one(chance, example(number), codec)


def _one(chance: random.Random, fields: Fields, codec: str | None) -> Fuzzed:
    kind = chance.choices(list(_KINDS), _WEIGHTS)[0]
    key = str(fields["listing_id"]).encode()
    if kind == "valid":
        return Fuzzed(kind, key, _json(fields), codec=codec)
    if kind == "bomb":
        return Fuzzed(kind, key, b"\x00" * BOMB_BYTES, codec=chance.choice(("gzip", "zstd")))
    value = None if kind == "tombstone" else _KINDS[kind](chance, dict(fields))
    headers = _raw_names(chance) if kind == "raw header names" else _headers(chance)
    odd_key = _key(chance, key, value)
    if kind != "huge":  # which is as large as a topic takes
        return Fuzzed(kind, odd_key, value, headers, _timestamp(chance), codec)
    return Fuzzed(kind, key, value, timestamp_ms=_timestamp(chance), codec=codec)


def _json(fields: Fields) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _flipped(chance: random.Random, fields: dict[str, Any]) -> bytes:
    value = bytearray(_json(fields))
    for _ in range(chance.randint(1, 8)):
        value[chance.randrange(len(value))] ^= 1 << chance.randrange(8)
    return bytes(value)


def _cut(chance: random.Random, fields: dict[str, Any]) -> bytes:
    value = _json(fields)
    return value[: chance.randrange(len(value))]


def _duplicated(chance: random.Random, fields: dict[str, Any]) -> bytes:
    value = _json(fields)
    start, end = sorted(chance.sample(range(len(value)), 2))
    return value[:end] + value[start:end] * chance.randint(1, 3) + value[end:]


def _swapped(chance: random.Random, fields: dict[str, Any]) -> bytes:
    one, other = chance.sample(list(fields), 2)
    return _json({**fields, one: fields[other], other: fields[one]})


def _missing(chance: random.Random, fields: dict[str, Any]) -> bytes:
    del fields[chance.choice(list(fields))]
    return _json({**fields, "unknown \ud800": [None, {}]})


def _wrong_type(chance: random.Random, fields: dict[str, Any]) -> bytes:
    odd = chance.choice((None, True, -1, 1.5, [], {}, [fields], {"a": fields}, ""))
    return _json({**fields, chance.choice(list(fields)): odd})


def _odd_text(chance: random.Random, fields: dict[str, Any]) -> bytes:
    text = "".join(chance.sample(ODD_TEXTS, chance.randint(1, 2)))
    return _json({**fields, chance.choice(("title", "title", "listing_id", "event_id")): text})


def _surrogate(chance: random.Random, fields: dict[str, Any]) -> bytes:
    """Half a character, escaped as JSON allows or as bytes that UTF-8 forbids."""
    broken = {**fields, "title": f"loft {chr(chance.randint(0xD800, 0xDFFF))}"}
    return json.dumps(broken).encode() if chance.random() < 0.5 else _json(broken)


def _odd_number(chance: random.Random, fields: dict[str, Any]) -> bytes:
    name = chance.choice(["propensity", *fields])
    value = _json({**fields, name: "NUMBER"})
    return value.replace(b'"NUMBER"', chance.choice(ODD_NUMBERS).encode())


def _odd_time(chance: random.Random, fields: dict[str, Any]) -> bytes:
    name = next(name for name in fields if name.endswith("_at"))
    return _json({**fields, name: chance.choice(ODD_TIMES)})


def _nested(chance: random.Random, fields: dict[str, Any]) -> bytes:
    depth = chance.choice((10, 200, 1_000, 5_000, 30_000))
    opening, closing = chance.choice(((b"[", b"]"), (b'{"a":', b"}")))
    closed = closing * depth if chance.random() < 0.5 else b""
    nested = opening * depth + b"1" + closed
    return nested if chance.random() < 0.3 else _json(fields)[:-1] + b',"extra":' + nested + b"}"


def _random(chance: random.Random, _: dict[str, Any]) -> bytes:
    return chance.randbytes(chance.choice((0, 1, 3, 50, 500)))


def _long(chance: random.Random, fields: dict[str, Any]) -> bytes:
    length = chance.choice((2_000, 2_001, 20_000, 20_001, 60_000))
    return _json({**fields, chance.choice(("title", "description", "event_id")): "ñ" * length})


def _huge(chance: random.Random, fields: dict[str, Any]) -> bytes:
    length = chance.choice((70_000, NEARLY_A_MEGABYTE, 1_048_300))
    return _json({**fields, "description": ""})[:-2] + b"x" * (length - 300) + b'"}'


def _zipped(_: random.Random, fields: dict[str, Any]) -> bytes:
    """A value that would unpack to much more than it is."""
    return gzip.compress(_json(fields) + b" " * 10_000_000, 1, mtime=0)[:60_000]


_KINDS: dict[str, Callable[[random.Random, dict[str, Any]], bytes]] = {
    "valid": lambda _, fields: _json(fields),
    "odd headers": lambda _, fields: _json(fields),
    "raw header names": lambda _, fields: _json(fields),
    "tombstone": lambda _, fields: b"",
    "flipped": _flipped,
    "cut": _cut,
    "duplicated": _duplicated,
    "swapped": _swapped,
    "missing": _missing,
    "wrong type": _wrong_type,
    "odd text": _odd_text,
    "surrogate": _surrogate,
    "odd number": _odd_number,
    "odd time": _odd_time,
    "nested": _nested,
    "random": _random,
    "long": _long,
    "zipped": _zipped,
    "huge": _huge,
    "bomb": lambda _, fields: b"",
}
_RARE = {"raw header names": 0.1, "zipped": 0.05, "huge": 0.02, "bomb": 0.02, "long": 0.3}
_WEIGHTS = [10.0 if kind == "valid" else _RARE.get(kind, 2.0) for kind in _KINDS]


def _key(chance: random.Random, key: bytes, value: bytes | None) -> bytes | None:
    if value is None or chance.random() < 0.9:  # a message has a key or a value
        return key
    return chance.choice((None, b"", b"\x00", b"\xff\xfe", chance.randbytes(50), b"k" * 3_000))


def _headers(chance: random.Random) -> Headers:
    if chance.random() < 0.8:
        return ()
    return tuple(_header(chance) for _ in range(chance.choice((1, 2, 5, 200))))


def _header(chance: random.Random) -> tuple[str, bytes | None]:
    odd = (None, b"", b"\xff\x00", "ñ\u202e".encode(), chance.randbytes(20), b"7", b"-1")
    if chance.random() < 0.001:
        return "schema", chance.choice(odd)
    names = ("traceparent", "", "наименование", "👍", "x" * 300, "dead-", "Schema", "dead-новое")
    ours = ("attempts", "offset", "topic", "partition", "stage", "error", "message", "disposition")
    name = chance.choice((*names, *(f"dead-{name}" for name in ours)))
    return name, chance.choice((*odd, b"9" * 5_000, b"listings"))


def _raw_names(chance: random.Random) -> Headers:
    names = ("\xff", "\xfe\xff", "dead-\x80", "schema\xc3", "\xed\xa0\x80", "x" * 300 + "\xe2\x82")
    return tuple((RawName(name), b"v") for name in chance.sample(names, chance.randint(1, 3)))


def _timestamp(chance: random.Random) -> int | None:
    """Of this century, of the last, and before Kafka knows time; the far future brokers refuse."""
    return chance.choice((None, None, None, 0, 1, 946_684_800_000))
