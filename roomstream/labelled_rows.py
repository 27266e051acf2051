"""A CSV of labelled listings as the trainer learns it, without a gap."""

from pathlib import Path

from roomstream.listings import read_listings
from schemas.errors import ConfigurationError
from trainer.transfer.lessons import Row


def rows_of(path: Path) -> list[Row]:
    """
    Read a file of labelled listings.

    Raises:
        ConfigurationError: It cannot be read, a column is missing, or a row lacks its title or label.
    """
    listings = list(read_listings(path, labels_needed=True))
    faults = [
        f"row {number} ({listing.listing_id})"
        for number, listing in enumerate(listings, 1)
        if not (listing.title.strip() and listing.label)
    ]
    if faults:
        raise ConfigurationError(
            f"Of the {len(listings):,} listings of {path}, {len(faults):,} have no title or no label; "
            f"the first is {faults[0]}. Complete them, or take them out."
        )
    return [
        Row(
            listing.listing_id,
            listing.text,
            listing.label or "",
            listing.domain,
        )
        for listing in listings
    ]
