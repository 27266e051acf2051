"""When a learner learns anew."""

from hypothesis import given
from hypothesis import strategies as st

from trainer.relearning import FORGET_WITHIN_LABELS, LEAST_LABELS, Fitted, risen, why_anew


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


def learned_anew(labels: int, changes: dict[int, int], replay_size: int = 10_000) -> list[int]:
    """At which labels it learns anew in a steady stream; `changes` maps when one is seen to its label."""
    fitted, change, times = Fitted(), 0, []
    for label in range(1, labels + 1):
        change = changes.get(label, change)
        now = Fitted({"Private room": label // 2, "Entire home/apt": label - label // 2}, label)
        if label > 2 * LEAST_LABELS and why_anew(fitted, now, change, replay_size, None):
            fitted = now
            times.append(label)
    return times


def test_it_learns_anew_whenever_what_came_has_doubled() -> None:
    """Until the replay buffer cannot hold it."""
    assert learned_anew(10_000, {}, replay_size=1_000) == [101, 202, 404, 808]


def test_after_a_change_it_learns_anew_soon_again() -> None:
    """The labels are counted from the change on, which is seen later."""
    assert learned_anew(3_000, {2_040: 2_000}) == [
        101,
        202,
        404,
        808,
        1_616,
        2_100,
        2_200,
        2_400,
        2_800,
    ]


def test_it_says_why() -> None:
    """In the words of the log."""
    even = {"Entire home/apt": 100, "Private room": 100}
    fitted = Fitted(even, 200)
    burst = Fitted(even | {"Shared room": 50}, 250)
    assert why_anew(fitted, burst, 0, 1_000, None) == "more common by now: Shared room"
    assert (
        why_anew(fitted, Fitted(even, 400), 0, 1_000, None) == "400 labels since the stream began"
    )
    assert (
        why_anew(fitted, Fitted(even, 350), 250, 1_000, None)
        == "100 labels since the stream changed"
    )
    assert why_anew(fitted, Fitted(even, 350), 0, 1_000, None) == ""


def test_what_was_deleted_is_inside_for_so_many_labels_at_most() -> None:
    """Also where nothing else calls for it; the first deletion counts."""
    even = {"Entire home/apt": 10_000, "Private room": 10_000}
    fitted = Fitted(even, 20_000)
    now, within = Fitted(even, 20_500), FORGET_WITHIN_LABELS

    assert why_anew(fitted, now, 0, 1_000, within - 1) == ""
    assert why_anew(fitted, now, 0, 1_000, within) == "1000 labels since a deletion"
    assert why_anew(fitted, now, 0, 1_000, None) == ""
