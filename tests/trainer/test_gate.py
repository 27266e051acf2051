"""What a candidate must show, with every bound at its edge."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.gate import POOLED, Bounds, judge, judge_first

BOUNDS = Bounds(max_accuracy_loss=0.01, max_recall_loss=0.05, min_recall_items=20, noise_items=2)
STRICT = Bounds(max_accuracy_loss=0, max_recall_loss=0, min_recall_items=1, noise_items=0)
LABELS = st.sampled_from(["a", "b", "c"])
RIGHT, WRONG = "a", "b"


def passed(
    truth: list[str], candidate: list[str], live: list[str], bounds: Bounds = BOUNDS
) -> set[str]:
    return {result.gate for result in judge(truth, candidate, live, bounds) if result.passed}


@given(st.lists(st.tuples(LABELS, LABELS), max_size=60))
def test_equal_answers_pass(rows: list[tuple[str, str]]) -> None:
    """However good or bad: a candidate that says the same is no worse, without any allowance."""
    truth, said = [row[0] for row in rows], [row[1] for row in rows]

    assert {"accuracy", "recall"} == passed(truth, said, said, STRICT)


@given(st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=60))
def test_a_perfect_candidate_passes(rows: list[tuple[str, str]]) -> None:
    """Whatever the live release says, nobody loses."""
    truth, live = [row[0] for row in rows], [row[1] for row in rows]

    assert {"accuracy", "recall"} == passed(truth, truth, live, STRICT)


@given(st.lists(st.tuples(LABELS, LABELS, LABELS), min_size=1, max_size=60))
def test_the_order_of_the_holdout_does_not_matter(
    rows: list[tuple[str, str, str]],
) -> None:
    """The judgement is one of counts."""
    one, other = (
        passed([row[0] for row in each], [row[1] for row in each], [row[2] for row in each])
        for each in (rows, rows[::-1])
    )

    assert one == other


@pytest.mark.parametrize(
    ("items", "lost", "passes"),
    [
        (1_000, 10, True),  # exactly the share
        (1_000, 11, False),
        (50, 2, True),  # exactly the noise
        (50, 3, False),
        (200, 2, True),  # the share and the noise are the same number
        (200, 3, False),
    ],
)
def test_accuracy_at_its_bounds(items: int, lost: int, passes: bool) -> None:
    """One per cent or two listings may be lost, whichever is more; not one listing beyond."""
    truth = [RIGHT] * items
    candidate = [WRONG] * lost + [RIGHT] * (items - lost)

    assert passes == ("accuracy" in passed(truth, candidate, truth))


@pytest.mark.parametrize(
    ("items", "lost", "passes"),
    [(100, 5, True), (100, 6, False), (20, 2, True), (20, 3, False), (40, 2, True), (41, 3, False)],
)
def test_recall_at_its_bounds(items: int, lost: int, passes: bool) -> None:
    """Five per cent or two listings of a class, though the whole gained by another class."""
    truth = [RIGHT] * items + ["other"] * 1_000
    candidate = [WRONG] * lost + truth[lost:]
    live = [RIGHT] * items + [WRONG] * 1_000

    assert passes == ("recall" in passed(truth, candidate, live))


def test_classes_with_few_listings_are_judged_together() -> None:
    """Three classes of ten that lose one listing each lose ten per cent of thirty: too many."""
    truth = ["x"] * 10 + ["y"] * 10 + ["z"] * 10
    candidate = list(truth)
    for row in (0, 10, 20):
        candidate[row] = "none"
    accuracy, recall = judge(truth, candidate, truth, BOUNDS)

    assert not recall.passed
    assert {f"lost: {POOLED}": pytest.approx(0.1)} == recall.figures
    assert POOLED in recall.why
    assert not accuracy.passed


def test_a_class_at_the_least_number_stands_alone() -> None:
    """Twenty listings are a class of their own, nineteen are pooled."""
    truth = ["x"] * 20 + ["y"] * 19
    (_, recall) = judge(truth, truth, truth, BOUNDS)

    assert {"lost: x": 0, f"lost: {POOLED}": 0} == recall.figures


def test_a_refusal_names_the_class_and_its_loss() -> None:
    """Whoever reads the log sees where the candidate is worse."""
    truth = ["Shared room"] * 50 + ["Private room"] * 50
    candidate = ["Private room"] * 100
    accuracy, recall = judge(truth, candidate, truth, BOUNDS)

    assert "Shared room loses 100.0%" in recall.why
    assert "50.0% of 100 hold-out listings, the live release 100.0%" in accuracy.why


def test_an_empty_holdout_judges_nothing() -> None:
    """Before the first held-out label nothing speaks against a candidate."""
    assert {"accuracy", "recall"} == passed([], [], [])


@pytest.mark.parametrize(
    ("counts", "passes"),
    [
        ({"a": 5, "b": 5}, True),
        ({"a": 50, "b": 4}, False),
        ({"a": 96, "b": 4}, True),  # a hundred in all
        ({"a": 95, "b": 4}, False),
        ({"a": 5}, False),
        ({"a": 5, "b": 5, "new": 1}, True),  # a class that came later holds nobody up
        ({}, False),
    ],
)
def test_the_first_release_needs_enough_labels(counts: dict[str, int], passes: bool) -> None:
    """Five of every class that the deployment began with, or a hundred in all."""
    (result,) = judge_first(counts, ["a", "b"], per_class=5, in_all=100)

    assert passes == result.passed
    assert {
        "labels": sum(counts.values()),
        "rarest_class": min(counts.get("a", 0), counts.get("b", 0)),
    } == result.figures
