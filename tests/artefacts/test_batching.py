"""Batches waste little padding, lose no text and keep their budget."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artefacts.batching import TOKEN_BUDGET, token_budget_batches

lengths = st.lists(st.integers(0, 600), max_size=80)
budgets = st.integers(1, 600)


def cost(batches: Sequence[Sequence[int]], overhead: int) -> int:
    return sum(overhead + len(batch) * max(batch) for batch in batches)


def padded_tokens(batch: Sequence[int], lengths: Sequence[int]) -> int:
    return len(batch) * max(lengths[index] for index in batch)


@given(lengths=lengths, budget=budgets)
def test_each_text_is_in_one_batch(lengths: list[int], budget: int) -> None:
    """No index is lost or repeated, whatever the lengths."""
    batches = token_budget_batches(lengths, budget)

    assert list(range(len(lengths))) == sorted(index for batch in batches for index in batch)
    assert all(batches)


@given(lengths=lengths, budget=budgets)
def test_a_batch_keeps_the_budget(lengths: list[int], budget: int) -> None:
    """Only a text that is longer than the budget by itself exceeds it, alone."""
    for batch in token_budget_batches(lengths, budget):
        assert len(batch) == 1 or padded_tokens(batch, lengths) <= budget


@given(lengths=lengths, budget=budgets)
def test_texts_are_sorted_by_length(lengths: list[int], budget: int) -> None:
    """Shortest first, within batches and from batch to batch; equal ones stay in order."""
    flat = [index for batch in token_budget_batches(lengths, budget) for index in batch]

    assert sorted(range(len(lengths)), key=lambda index: (lengths[index], index)) == flat


@given(
    lengths=st.lists(st.integers(0, 12), min_size=1, max_size=8),
    budget=st.integers(1, 40),
    overhead=st.integers(0, 30),
)
def test_no_other_cut_costs_less(lengths: list[int], budget: int, overhead: int) -> None:
    """Of all ways to cut the sorted texts within the budget."""
    ordered = sorted(lengths)
    places = range(1, len(ordered))
    ways = [
        [ordered[start:end] for start, end in itertools.pairwise((0, *cuts, len(ordered)))]
        for count in range(len(ordered))
        for cuts in itertools.combinations(places, count)
    ]
    allowed = [
        way
        for way in ways
        if all(len(batch) == 1 or batch[-1] * len(batch) <= budget for batch in way)
    ]
    found = token_budget_batches(lengths, budget, overhead)

    assert cost([[lengths[index] for index in batch] for batch in found], overhead) == min(
        cost(way, overhead) for way in allowed
    )


@pytest.mark.parametrize(
    ("lengths", "batches"),
    [
        ([], []),
        ([5], [[0]]),
        ([4, 4], [[0, 1]]),
        ([4, 5], [[0], [1]]),
        ([9, 2, 2, 100, 2], [[1, 2, 4], [0], [3]]),
        ([0, 0, 0], [[0, 1, 2]]),
    ],
)
def test_batches_by_example(lengths: list[int], batches: list[list[int]]) -> None:
    """With a budget of eight padded tokens."""
    assert batches == token_budget_batches(lengths, budget=8)


def test_padding_is_a_few_per_cent_of_a_window_of_titles() -> None:
    """256 titles of 4 to 30 tokens waste under a tenth, where one batch would waste most."""
    lengths = [4 + (index * 7) % 27 for index in range(256)]
    padded = sum(padded_tokens(batch, lengths) for batch in token_budget_batches(lengths))

    assert padded <= 1.1 * sum(lengths) < 0.6 * padded_tokens(range(256), lengths) * 1.1
    assert TOKEN_BUDGET == 256


def test_a_long_text_pads_no_short_ones() -> None:
    """Though one batch would hold them all."""
    assert token_budget_batches([5, 5, 30, 5, 5]) == [[0, 1, 3, 4], [2]]
