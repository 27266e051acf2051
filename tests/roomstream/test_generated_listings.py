"""The generated stream: the same for a seed, untidy as a real one, every fate as foretold."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomstream.broken_messages import BREAKAGES
from roomstream.generated_listings import generated_messages
from roomstream.listing_wording import ROOM_TYPES
from roomstream.listings import Listing, Message
from schemas.codec import Rejected, decode
from schemas.events import ListingEvent
from schemas.topics import Topic


@pytest.fixture(scope="module")
def messages() -> list[Message]:
    return list(generated_messages(4_000, seed=7))


def published(messages: list[Message]) -> list[Listing]:
    return [m.listing for m in messages if m.fate == "classified" and m.listing is not None]


@given(seed=st.integers(0, 2**32), count=st.integers(1, 200))
@settings(max_examples=20, deadline=None)
def test_a_seed_names_one_stream(seed: int, count: int) -> None:
    """Whoever repeats a run with its seed sends the same bytes."""
    assert list(generated_messages(count, seed)) == list(generated_messages(count, seed))


def test_another_seed_gives_another_stream() -> None:
    """A second run may learn from other listings."""
    assert list(generated_messages(50, 1)) != list(generated_messages(50, 2))


@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_every_fate_is_what_the_codec_says(seed: int) -> None:
    """What is expected of a message was not read off the codec, and agrees with it."""
    for message in generated_messages(300, seed):
        if message.value is None:
            assert message.fate == "skipped"
            continue
        event = decode(Topic.LISTINGS, message.value, message.headers)
        if isinstance(event, Rejected):
            assert ("dead", event.error) == (message.fate, message.error)
        else:
            assert isinstance(event, ListingEvent)
            assert ("classified", event.event_id) == (message.fate, message.event_id)
            assert message.listing is not None
            assert message.listing.title == event.title


def test_events_have_ids_of_their_own(messages: list[Message]) -> None:
    """Two messages never share an event id, so that answers can be counted by it."""
    ids = [m.event_id for m in messages if m.event_id is not None]

    assert len(ids) == len(set(ids))


def test_every_kind_of_trouble_is_among_a_few_hundred(messages: list[Message]) -> None:
    """Even a short run sees each breakage and some tombstones."""
    errors = {m.error for m in messages[:600]} - {None}

    assert set(BREAKAGES) == errors
    assert any(m.fate == "skipped" for m in messages[:600])


def test_rooms_are_mixed_as_on_a_real_site(messages: list[Message]) -> None:
    """Whole homes lead, shared rooms and hotels are rare."""
    counts = Counter(listing.label for listing in published(messages))
    shares = {label: counts[label] / counts.total() for label in ROOM_TYPES}
    expected = dict(zip(ROOM_TYPES, (0.54, 0.33, 0.06, 0.07), strict=True))

    assert expected == pytest.approx(shares, abs=0.04)


def test_titles_are_many_and_in_several_languages(messages: list[Message]) -> None:
    """Thousands of distinct titles; English, Spanish and some Catalan."""
    listings = published(messages)
    languages = Counter(listing.language for listing in listings)

    assert len({listing.title for listing in listings}) > 3_000
    assert min(languages["en"], languages["es"]) > 1_000
    assert languages["ca"] > 20


def test_listings_come_again_and_change(messages: list[Message]) -> None:
    """Some listings are sent twice with the same title, some with a new one."""
    titles: dict[str, list[str]] = {}
    for listing in published(messages):
        titles.setdefault(listing.listing_id, []).append(listing.title)

    assert any(len(seen) > len(set(seen)) for seen in titles.values())
    assert any(len(set(seen)) > 1 for seen in titles.values())


def test_the_mix_drifts(messages: list[Message]) -> None:
    """Spanish gains ground from the first half of the stream to the second."""
    listings = published(messages)
    halves = listings[: len(listings) // 2], listings[len(listings) // 2 :]
    first, second = (sum(x.language == "es" for x in half) / len(half) for half in halves)

    assert first < second


def test_no_title_is_empty_or_unfinished(messages: list[Message]) -> None:
    """Every pattern finds its words."""
    titles = [listing.title for listing in published(messages)]

    assert all(title.strip() for title in titles)
    assert not any("{" in title or "}" in title for title in titles)
