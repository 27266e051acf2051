"""What a demo sends: generated listings, or those of a file."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice

from roomstream.demo.options import DemoOptions
from roomstream.generated_listings import generated_messages
from roomstream.listing_wording import ROOM_TYPES
from roomstream.listings import Message, listing_message, read_listings
from schemas.errors import ConfigurationError


def load_messages(options: DemoOptions) -> list[Message]:
    """
    Make or read the messages of a demo.

    Raises:
        ConfigurationError: The file of listings is of no use.
    """
    if options.listings is None:
        return list(generated_messages(options.events, options.seed, datetime.now(UTC)))
    rows = islice(read_listings(options.listings, labels_needed=True), options.events)
    messages = [
        listing_message(listing, f"e-{number:06d}", datetime.now(UTC))
        for number, listing in enumerate(rows)
    ]
    if not any(message.listing and message.listing.label for message in messages):
        raise ConfigurationError(f"Listings {options.listings} holds no labelled row.")
    return messages


def taxonomy(messages: Sequence[Message]) -> list[str]:
    """The four kinds of room if they cover all labels, else the labels of the listings."""
    found = {m.listing.label: None for m in messages if m.listing and m.listing.label}
    return list(ROOM_TYPES if found.keys() <= set(ROOM_TYPES) else found)
