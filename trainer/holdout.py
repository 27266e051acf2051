"""Which listings are kept from learning, to judge releases by."""

import hashlib


def is_held_out(listing_id: str, share: float) -> bool:
    """
    Draw at random, but the same listing always alike, so that none is both learned and judged by.

    Args:
        listing_id: The listing.
        share: How many of all listings, in (0, 1).
    """
    digest = hashlib.sha256(b"holdout " + listing_id.encode()).digest()
    return int.from_bytes(digest[:8]) < share * 2**64
