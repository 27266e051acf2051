"""The fuzzer itself: what it makes, and that it makes it again."""

from collections import Counter
from itertools import islice

from schemas.codec import Rejected, decode
from schemas.topics import Topic
from tests.fuzzing import BOMB_BYTES, Fuzzed, fuzzed
from tests.workers.listings import listing_fields


def made(seed: int, count: int = 20_000) -> list[Fuzzed]:
    return list(fuzzed(seed, count, listing_fields))


def test_a_seed_makes_the_same_messages_again() -> None:
    """And another seed makes others."""
    first = made(1, 2_000)

    assert first == made(1, 2_000)
    assert first != made(2, 2_000)
    assert first[:500] == list(islice(fuzzed(1, 2_000, listing_fields), 500))


def test_every_kind_is_made_and_valid_ones_are_valid() -> None:
    """Some of each, most of them rejected; few name a schema, so that no circuit opens."""
    messages = made(3)
    kinds = Counter(message.kind for message in messages)
    verdicts = {
        message: decode(Topic.LISTINGS, message.value, message.headers)
        for message in messages
        if message.value is not None and len(message.value) < BOMB_BYTES
    }
    rejected = Counter(
        verdict.error for verdict in verdicts.values() if isinstance(verdict, Rejected)
    )

    assert len(kinds) == 20, kinds
    assert all(
        not isinstance(verdict, Rejected)
        for message, verdict in verdicts.items()
        if message.kind == "valid"
    )
    assert {"too_large", "bad_utf8", "not_json", "missing_field", "wrong_type", "too_long"} <= set(
        rejected
    )
    assert {"out_of_range", "empty_title", "unknown_schema"} <= set(rejected)
    assert rejected["unknown_schema"] < len(messages) / 20
    assert len(messages) / 3 < rejected.total() < len(messages) * 0.8
