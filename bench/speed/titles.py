"""Titles to measure with: real ones where they are, else generated ones."""

import random
from collections.abc import Iterator
from pathlib import Path

from bench.learning.rows import listings
from roomstream.generated_listings import generated_messages
from schemas.codec import listing_text

CITIES = ("nyc", "madrid", "mexico_city", "dublin")


def titles(data: Path, count: int) -> list[str]:
    """
    Different titles in English and Spanish, in random order, always the same.

    Args:
        data: A folder of listings; where it is not there, titles are generated.
        count: How many.
    """
    found = list(dict.fromkeys(_real(data) if data.is_dir() else _generated(3 * count)))
    return random.Random(0).sample(found, min(count, len(found)))  # noqa: S311 - no secret


def _real(data: Path) -> Iterator[str]:
    for city in CITIES:
        yield from (row.text for row in listings(data, city))


def _generated(count: int) -> Iterator[str]:
    for message in generated_messages(count):
        if message.listing and message.value:
            yield listing_text(message.listing.title, message.listing.description)
