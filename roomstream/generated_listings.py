"""
Listings that the project makes up itself: a stream as untidy as a real one, the same for a seed.

Hosts write in English, Spanish and Catalan; some say nothing about the kind of room, some mislead.
Among the listings are repeats, updates, deletions and messages that no consumer can read. The mix
drifts: Spanish titles and hotels become more frequent.
"""

import itertools
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from roomstream.broken_messages import BREAKAGES, broken_message
from roomstream.listing_wording import (
    CATALAN,
    EMOJIS,
    ENGLISH,
    ENGLISH_CITIES,
    PLACES,
    ROOM_TYPES,
    SPANISH,
    SPANISH_CITIES,
    WORDINGS,
    Wording,
)
from roomstream.listings import Listing, Message, listing_message

START = datetime(2026, 1, 1, tzinfo=UTC)

BROKEN_SHARE, REPEAT_SHARE, UPDATE_SHARE, GONE_SHARE = 0.035, 0.04, 0.03, 0.015
VAGUE_SHARE, BORROWED_SHARE, HINT_SHARE = 0.10, 0.06, 0.3
TYPO_SHARE, CAPITALS_SHARE, EMOJI_SHARE, MIXED_SHARE, DESCRIPTION_SHARE = (
    0.08,
    0.06,
    0.07,
    0.05,
    0.1,
)


def generated_messages(count: int, seed: int = 1, start: datetime = START) -> Iterator[Message]:
    """
    Make the messages of a stream, in order. The same arguments give the same bytes.

    Args:
        count: How many messages.
        seed: Chooses the stream.
        start: When the first one happened; the others follow a second apart.
    """
    chance = random.Random(seed)  # noqa: S311 - a reproducible stream, no secret
    breakages = itertools.cycle(chance.sample(sorted(BREAKAGES), len(BREAKAGES)))
    present: list[Listing] = []
    for number in range(count):
        at, event_id = start + timedelta(seconds=number), f"e-{number:06d}"
        draw = chance.random()
        if draw < BROKEN_SHARE:
            listing = _new_listing(chance, number, number / count)
            yield broken_message(next(breakages), listing, event_id, at)
        elif draw < BROKEN_SHARE + GONE_SHARE and present:
            gone = present.pop(chance.randrange(len(present)))
            yield Message(gone.listing_id.encode(), None, listing=gone, fate="skipped")
        else:
            listing = _published(chance, number, number / count, draw, present)
            yield listing_message(listing, event_id, at)


def generated_listing(
    chance: random.Random, listing_id: str, label: str, language: str, source: str
) -> Listing:
    """Make up a listing of a kind of room, in a language and a city."""
    wording, place = WORDINGS[language], chance.choice(PLACES[source])
    title = _title(chance, wording, label, place)
    if language != "en" and chance.random() < MIXED_SHARE:
        title = f"{title} / {_title(chance, ENGLISH, label, place)}"
    return Listing(
        listing_id=listing_id,
        title=_dressed(chance, title),
        description=_description(chance, wording, label, place),
        language=language,
        source=source,
        label=label,
    )


def _published(
    chance: random.Random, number: int, progress: float, draw: float, present: list[Listing]
) -> Listing:
    """A new listing, the same one once more, or one with another title."""
    seen = BROKEN_SHARE + GONE_SHARE
    if not present or draw >= seen + REPEAT_SHARE + UPDATE_SHARE:
        present.append(_new_listing(chance, number, progress))
        return present[-1]
    index = chance.randrange(len(present))
    if draw >= seen + REPEAT_SHARE:
        present[index] = _updated(chance, present[index])
    return present[index]


def _new_listing(chance: random.Random, number: int, progress: float) -> Listing:
    shares = (0.55 - 0.03 * progress, 0.33, 0.06, 0.06 + 0.03 * progress)
    label = chance.choices(ROOM_TYPES, shares)[0]
    spanish = chance.random() < 0.5 + 0.15 * progress
    source = chance.choice(SPANISH_CITIES if spanish else ENGLISH_CITIES)
    return generated_listing(chance, f"g-{number:06d}", label, _language(chance, source), source)


def _updated(chance: random.Random, listing: Listing) -> Listing:
    language, source = listing.language or "en", listing.source or "london"
    new = generated_listing(chance, listing.listing_id, listing.label or "", language, source)
    return replace(listing, title=new.title, description=new.description)


def _language(chance: random.Random, source: str) -> str:
    if source in ENGLISH_CITIES:
        return ENGLISH.language
    catalan = 0.2 if source == "barcelona" else 0.0
    languages = (SPANISH.language, ENGLISH.language, CATALAN.language)
    return chance.choices(languages, (0.8, 0.2, catalan))[0]


def _title(chance: random.Random, wording: Wording, label: str, place: str) -> str:
    draw = chance.random()
    pattern = chance.choice(wording.vague if draw < VAGUE_SHARE else wording.patterns)
    misleading = draw > 1 - BORROWED_SHARE
    words = {
        "noun": (wording.borrowed if misleading else wording.nouns)[label],
        "praise": wording.praise,
        "feature": wording.features,
        "nearby": wording.nearby,
        "place": (place,),
    }
    title = re.sub(r"\{(\w+)\}", lambda field: chance.choice(words[field[1]]), pattern)
    if chance.random() < HINT_SHARE:
        title = f"{title}, {chance.choice(wording.hints[label])}"
    return title


def _description(chance: random.Random, wording: Wording, label: str, place: str) -> str | None:
    if chance.random() >= DESCRIPTION_SHARE:
        return None
    details = [*chance.sample(wording.features, 2), chance.choice(wording.hints[label])]
    return f"{place}: {', '.join(details)}."


def _dressed(chance: random.Random, title: str) -> str:
    """What hosts do to a title before they publish it."""
    title = title[:1].upper() + title[1:]
    if chance.random() < TYPO_SHARE:
        title = _mistyped(chance, title)
    if chance.random() < CAPITALS_SHARE:
        title = title.upper()
    if chance.random() < EMOJI_SHARE:
        title = f"{title} {chance.choice(EMOJIS) * chance.randint(1, 2)}"
    return title


def _mistyped(chance: random.Random, title: str) -> str:
    """Two neighbouring letters swapped, or one left out."""
    at = chance.randrange(len(title) - 1)
    pair = "" if chance.random() < 0.5 else title[at + 1] + title[at]
    return title[:at] + (pair or title[at + 1]) + title[at + 2 :]
