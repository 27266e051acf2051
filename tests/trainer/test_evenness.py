"""When a learner learns anew because classes came unevenly."""

from hypothesis import given
from hypothesis import strategies as st

from trainer.evenness import LEAST_LABELS, risen


def test_a_class_that_comes_late_rises_again_and_again() -> None:
    """From nothing, and then whenever its share has doubled."""
    before = {"Entire home/apt": 6_000, "Private room": 4_000}

    assert risen(before, before | {"Shared room": 49}) == []
    assert risen(before, before | {"Shared room": 50}) == ["Shared room"]
    fitted = before | {"Shared room": 50}
    assert risen(fitted, before | {"Shared room": 99}) == []
    assert risen(fitted, before | {"Shared room": 102}) == ["Shared room"]


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 1_000), min_size=1),
    st.floats(1, 100),
)
def test_nothing_rises_while_all_grow_alike(counts: dict[str, int], factor: float) -> None:
    """However much comes: rounding to whole labels does not double a share."""
    grown = {label: round(count * factor) for label, count in counts.items()}
    assert risen(counts, grown) == []


@given(st.lists(st.sampled_from("abcd"), max_size=2_000))
def test_it_rises_seldom(labels: list[str]) -> None:
    """In whatever order labels come, a share can double only so often."""
    before: dict[str, int] = {}
    now: dict[str, int] = {}
    times = 0
    for label in labels:
        now[label] = now.get(label, 0) + 1
        if risen(before, now):
            times, before = times + 1, dict(now)
    assert times <= len(labels) / LEAST_LABELS + 1
