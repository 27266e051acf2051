"""Titles to measure with: real ones where they are, else generated ones."""

import random
from collections.abc import Iterator
from pathlib import Path

from bench.learning.rows import Row, listings
from roomstream.generated_listings import generated_messages

CITIES = ("nyc", "madrid", "mexico_city", "dublin")


def titles(data: Path, count: int) -> dict[str, str]:
    """
    Different titles in English and Spanish with their labels, in random order, always the same.

    Args:
        data: A folder of listings; where it is not there, titles are generated.
        count: How many.
    """
    found: dict[str, str] = {}
    for row in rows(data, 3 * count):
        if row.label:
            found.setdefault(row.text, row.label)
    chance = random.Random(0)  # noqa: S311 - no secret
    return dict(chance.sample(list(found.items()), min(count, len(found))))


def rows(data: Path, count: int) -> Iterator[Row]:
    """
    Listings as they came; of those that are generated every fifth is a test, and some have no label.

    Args:
        data: A folder of listings; where it is not there, listings are generated.
        count: Messages that are generated.
    """
    if data.is_dir():
        for city in CITIES:
            yield from listings(data, city)
        return
    for number, message in enumerate(generated_messages(count)):
        if message.listing and message.value:
            text = message.listing.text
            label = message.listing.label or ""
            yield Row(f"{number}", text, label, "generated", "", number % 5 == 0)
