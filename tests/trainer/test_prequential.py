"""How well the stream was predicted, over a sliding window."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.prequential import Prequential

LABELS = st.sampled_from(["Private room", "Shared room", "Hotel room"])
PAIRS = st.lists(st.tuples(LABELS, st.none() | LABELS), min_size=1, max_size=40)


def test_nothing_is_known_before_the_first_label() -> None:
    """There is no accuracy of nothing."""
    assert Prequential().accuracy() is None
    assert Prequential().recall() == {}


@given(PAIRS, st.integers(1, 20))
def test_only_the_window_counts(pairs: list[tuple[str, str | None]], window: int) -> None:
    """Accuracy and recall are those of the last labels; nothing predicted counts as wrong."""
    prequential = Prequential(window=window)
    for label, predicted in pairs:
        prequential.add(label, predicted)
    last = pairs[-window:]
    of = {label: [guess for other, guess in last if other == label] for label, _ in last}

    assert sum(a == b for a, b in last) / len(last) == prequential.accuracy()
    assert {
        label: guesses.count(label) / len(guesses) for label, guesses in of.items()
    } == prequential.recall()


@given(PAIRS, PAIRS)
def test_it_goes_on_from_its_history(
    before: list[tuple[str, str | None]], after: list[tuple[str, str | None]]
) -> None:
    """After a restart the figures are those of a trainer that never stopped."""
    steady, resumed = Prequential(window=7), Prequential(before, window=7)
    for pair in before:
        steady.add(*pair)
    for pair in after:
        steady.add(*pair)
        resumed.add(*pair)

    assert steady.accuracy() == pytest.approx(resumed.accuracy())
    assert steady.recall() == resumed.recall()
