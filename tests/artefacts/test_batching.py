"""Batches waste little padding, lose no text and keep their budget."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artefacts.batching import TOKEN_BUDGET, token_budget_batches

lengths = st.lists(st.integers(0, 600), max_size=80)
budgets = st.integers(1, 600)


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


@given(lengths=lengths, budget=budgets)
def test_no_batch_could_take_the_next_text(lengths: list[int], budget: int) -> None:
    """A batch closes only when the next text would exceed its budget."""
    batches = token_budget_batches(lengths, budget)

    for batch, following in itertools.pairwise(batches):
        assert padded_tokens([*batch, following[0]], lengths) > budget


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
