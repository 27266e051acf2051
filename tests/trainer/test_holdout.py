"""The hold-out is a random share of the listings, the same at every look."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.holdout import is_held_out


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5, 0.9])
def test_the_share_is_kept(share: float) -> None:
    """Of 20,000 listings the share is held out, within four standard errors."""
    count = 20_000
    held = sum(is_held_out(f"listing-{number}", share) for number in range(count))
    error = (share * (1 - share) / count) ** 0.5

    assert abs(held / count - share) < 4 * error


@given(st.text(min_size=1), st.floats(0.001, 0.998), st.floats(0.001, 0.998))
def test_a_larger_share_holds_out_more_and_frees_none(
    listing: str, one: float, other: float
) -> None:
    """What is held out stays so at any larger share, and at every repeat."""
    less, more = sorted((one, other))

    assert is_held_out(listing, less) == is_held_out(listing, less)
    assert is_held_out(listing, more) or not is_held_out(listing, less)


def test_the_draw_is_the_same_in_every_version() -> None:
    """A changed draw would mix learned and held-out listings of databases that exist."""
    held = [number for number in range(40) if is_held_out(f"l-{number}", 0.2)]

    assert held == [1, 2, 3, 4, 8, 10, 11, 25, 27, 31, 32]
