"""Chance that a repeat shares: numbers that depend on the place of an input alone. Pure."""

import hashlib

from schemas.events import InputPosition


def draw(position: InputPosition, purpose: bytes = b"") -> float:
    """
    A number in [0, 1) that depends on the position alone: a repeat decides the same.

    Args:
        position: Where the input stands.
        purpose: Up to 16 bytes; the numbers of one position for two purposes are independent.
    """
    name = f"{position.topic}/{position.partition}/{position.offset}".encode()
    digest = hashlib.blake2b(name, digest_size=7, person=purpose).digest()
    return int.from_bytes(digest) / 2**56
