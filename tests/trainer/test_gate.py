"""What a candidate must show, with every bound at its edge, and bad candidates made on purpose."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artefacts.manifest import GateResult
from trainer.evaluation import Answers, Truth
from trainer.gate import POOLED, Bounds, judge, judge_erosion, judge_first
from trainer.sequential import Pairs

BOUNDS = Bounds(
    max_accuracy_loss=0.01,
    max_recall_loss=0.05,
    max_calibration_loss=0.02,
    min_recall_items=20,
    noise_items=2,
)
STRICT = Bounds(
    max_accuracy_loss=0,
    max_recall_loss=0,
    max_calibration_loss=0,
    min_recall_items=1,
    noise_items=0,
)
LABELS = st.sampled_from(["a", "b", "c"])
RIGHT, WRONG = "a", "b"
ROOMS = ("Entire home/apt", "Private room", "Shared room", "Hotel room")


def sure(said: Sequence[str], confidence: float = 1.0) -> Answers:
    """Answers with one confidence; the rest goes to a class that is never right."""
    classes = [*sorted(set(said)), "nothing"]
    probabilities = np.zeros((len(said), len(classes)))
    probabilities[:, -1] = 1 - confidence
    for row, label in enumerate(said):
        probabilities[row, classes.index(label)] = confidence
    return Answers(classes, probabilities)


def judged(
    truth: Sequence[str],
    candidate: Sequence[str] | Answers,
    live: Sequence[str] | Answers,
    bounds: Bounds = BOUNDS,
    baseline: Sequence[str] | None = None,
) -> dict[str, GateResult]:
    ours, theirs = (side if isinstance(side, Answers) else sure(side) for side in (candidate, live))
    results = judge(Truth.of(truth), ours, theirs, baseline, bounds)
    assert all(isinstance(result.passed, bool) for result in results)  # JSON knows no numpy.bool
    return {result.gate: result for result in results}


def failed(results: dict[str, GateResult]) -> set[str]:
    return {gate for gate, result in results.items() if not result.passed}


@given(st.lists(st.tuples(LABELS, LABELS), max_size=60))
def test_equal_answers_pass(rows: list[tuple[str, str]]) -> None:
    """However good or bad: a candidate that says the same is no worse, without any allowance."""
    truth, said = [row[0] for row in rows], [row[1] for row in rows]

    assert failed(judged(truth, said, said, STRICT)) == set()


@given(st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=60))
def test_a_perfect_candidate_passes(rows: list[tuple[str, str]]) -> None:
    """Whatever the live release and the baseline say, nobody loses."""
    truth, other = [row[0] for row in rows], [row[1] for row in rows]

    assert failed(judged(truth, truth, other, STRICT, other)) == set()


@pytest.mark.parametrize(
    ("items", "lost", "passes"),
    [
        (1_000, 2, True),  # the noise
        (1_000, 5, True),  # with 95% confidence less than one point
        (1_000, 8, False),  # less than one point, but not with 95% confidence
        (50, 2, True),
        (50, 3, False),
        (2, 2, True),
    ],
)
def test_accuracy_at_its_bounds(items: int, lost: int, passes: bool) -> None:
    """A loss is certain to be under one per cent, or it is two listings; not one listing beyond."""
    truth = [RIGHT] * items
    candidate = [WRONG] * lost + [RIGHT] * (items - lost)

    assert passes == ("accuracy" not in failed(judged(truth, candidate, truth)))


def test_a_candidate_that_gains_as_much_as_it_loses_passes_on_a_small_holdout() -> None:
    """Six of fifty answers differ: a bound of one point cannot be proved, and nothing is lost."""
    truth = [RIGHT] * 50
    live = [WRONG] * 3 + truth[3:]

    assert failed(judged(truth, live[::-1], live)) == set()


@pytest.mark.parametrize(
    ("lead", "lost", "passes"),
    [
        (Pairs(), 24, False),  # -0.8 points of 500, and 44 answers that differ: it may be -2
        (Pairs(40, 30, 1_430), 24, True),
        (Pairs(30, 60, 1_410), 24, False),
        (Pairs(400, 0, 1_100), 26, False),  # -1.2 points
    ],
)
def test_fresh_labels_count_where_the_holdout_shows_no_loss(
    lead: Pairs, lost: int, passes: bool
) -> None:
    """What the learner said before it learned them; against a loss on the hold-out they say nothing."""
    truth = [RIGHT] * 500
    candidate = sure([WRONG] * lost + truth[lost:])
    live = sure(truth[20:] + [WRONG] * 20)
    (accuracy, *_) = judge(Truth.of(truth), candidate, live, None, BOUNDS, lead)

    assert accuracy.passed == passes
    assert accuracy.figures["fresh"] == lead.labels


def test_accuracy_is_that_of_the_stream() -> None:
    """Nine listings of ten are of class a, so what is lost there counts nine times as much."""
    truth = Truth.of(["a"] * 500 + ["b"] * 500, {"a": 0.9, "b": 0.1})
    live = sure(["a"] * 480 + ["b"] * 520)
    candidate = sure(["a"] * 460 + ["b"] * 540)
    (accuracy, *_) = judge(truth, candidate, live, None, BOUNDS)

    assert accuracy.figures["live"] == pytest.approx(0.9 * 480 / 500 + 0.1)
    assert accuracy.figures["difference"] == pytest.approx(-0.9 * 20 / 500)


@pytest.mark.parametrize(
    ("items", "lost", "passes"),
    [(100, 5, True), (100, 6, False), (20, 2, True), (20, 3, False), (40, 2, True), (41, 3, False)],
)
def test_recall_at_its_bounds(items: int, lost: int, passes: bool) -> None:
    """Five per cent or two listings of a class, though the whole gained by another class."""
    truth = [RIGHT] * items + ["other"] * 1_000
    candidate = [WRONG] * lost + truth[lost:]
    live = [RIGHT] * items + [WRONG] * 1_000

    assert passes == ("recall" not in failed(judged(truth, candidate, live)))


def test_classes_with_few_listings_are_judged_together() -> None:
    """Three classes of ten that lose one listing each lose ten per cent of thirty: too many."""
    truth = ["x"] * 10 + ["y"] * 10 + ["z"] * 10
    candidate = list(truth)
    for row in (0, 10, 20):
        candidate[row] = "none"
    results = judged(truth, candidate, truth)

    assert {"accuracy", "recall"} <= failed(results)
    assert {f"lost: {POOLED}": pytest.approx(0.1)} == results["recall"].figures
    assert POOLED in results["recall"].why


def test_a_class_at_the_least_number_stands_alone() -> None:
    """Twenty listings are a class of their own, nineteen are pooled."""
    truth = ["x"] * 20 + ["y"] * 19
    results = judged(truth, truth, truth)

    assert {"lost: x": 0, f"lost: {POOLED}": 0} == results["recall"].figures


def test_a_refusal_names_the_class_and_its_loss() -> None:
    """Whoever reads the log sees where the candidate is worse."""
    truth = ["Shared room"] * 50 + ["Private room"] * 50
    results = judged(truth, ["Private room"] * 100, truth)

    assert "Shared room loses 100.0%" in results["recall"].why
    assert "50.0% of 100 hold-out listings, the live release 100.0%" in results["accuracy"].why


def test_confidence_may_not_become_more_wrong() -> None:
    """Four of five answers are right: a confidence of 0.82 is fine, one of 0.85 is not."""
    truth = [RIGHT] * 800 + [WRONG] * 200
    said = [RIGHT] * 1_000
    live = sure(said, 0.8)

    assert failed(judged(truth, sure(said, 0.819), live)) == set()
    assert failed(judged(truth, sure(said, 0.85), live)) == {"calibration"}


def test_a_small_holdout_cannot_tell_calibration() -> None:
    """Of ten listings the error jumps by itself: two of them may be the whole difference."""
    truth = [RIGHT] * 8 + [WRONG] * 2
    said = [RIGHT] * 10

    assert failed(judged(truth, sure(said, 0.95), sure(said, 0.8))) == set()


def test_the_baseline_must_not_be_better() -> None:
    """A candidate that is behind it is refused, if the live release is not behind as well."""
    truth = [RIGHT] * 1_000
    live, behind = ([RIGHT] * right + [WRONG] * (1_000 - right) for right in (900, 895))
    baseline = [WRONG] * 75 + [RIGHT] * 925
    close = [RIGHT] * 890 + [WRONG] * 110

    assert failed(judged(truth, behind, live, BOUNDS, [RIGHT] * 896 + [WRONG] * 104)) == set()
    assert "baseline" in failed(judged(truth, behind, live, BOUNDS, baseline))
    assert failed(judged(truth, live, close, BOUNDS, baseline)) == set()


def test_an_empty_holdout_judges_nothing() -> None:
    """Before the first held-out label nothing speaks against a candidate."""
    assert failed(judged([], [], [])) == set()


def drawn(sharpness: float = 3, bias: Sequence[float] = (0, 0, 0, 0), signal: float = 3) -> Answers:
    """A decent release on the listings of `ROOM_TRUTH`; calibrated where sharpness is the signal."""
    chance = np.random.default_rng(1)
    logits = chance.normal(size=(len(ROOM_TRUTH), 4))
    logits[np.arange(len(ROOM_TRUTH)), [ROOMS.index(label) for label in ROOM_TRUTH]] += signal
    scores = np.exp(sharpness * (logits + np.asarray(bias)))
    return Answers(ROOMS, scores / scores.sum(axis=1, keepdims=True))


ROOM_TRUTH = [
    ROOMS[index] for index in np.random.default_rng(0).choice(4, 1_000, p=[0.6, 0.3, 0.05, 0.05])
]


def test_a_decent_candidate_passes() -> None:
    """One that doubts a little less than the live release, and says the same."""
    live = drawn()

    assert failed(judged(ROOM_TRUTH, drawn(sharpness=3.2), live, baseline=live.said)) == set()


def test_permuted_labels_are_refused_for_accuracy() -> None:
    """Learned from labels that were shuffled, it says of each class that it is the next one."""
    good = drawn()
    permuted = Answers(ROOMS, np.roll(good.probabilities, 1, axis=1))
    results = judged(ROOM_TRUTH, permuted, good, baseline=good.said)

    assert {"accuracy", "recall", "baseline"} <= failed(results)
    assert results["accuracy"].figures["candidate"] < 0.2


def test_a_dropped_class_is_refused_for_recall() -> None:
    """A class with one listing in twenty is never said: accuracy hardly falls, its recall does."""
    results = judged(ROOM_TRUTH, drawn(bias=(0.3, 0, 0, -99)), drawn())

    assert "recall" in failed(results)
    assert "Hotel room loses" in results["recall"].why


def test_a_dropped_class_is_refused_for_recall_alone_where_others_gain() -> None:
    """Overall the candidate is better; that one class pays for it is not allowed."""
    candidate = [label if label != "Hotel room" else "Private room" for label in ROOM_TRUTH]

    assert failed(judged(ROOM_TRUTH, candidate, sure(drawn(signal=2).said))) == {"recall"}


def losing(count: int, label: str) -> Answers:
    """All of the listings of `ROOM_TRUTH` right but so many of one class."""
    said = list(ROOM_TRUTH)
    for row in [row for row, truth in enumerate(ROOM_TRUTH) if truth == label][:count]:
        said[row] = ROOMS[0] if label != ROOMS[0] else ROOMS[1]
    return sure(said)


@pytest.mark.parametrize(
    ("candidate", "live", "passes"),
    [
        (1, 0, True),  # a loss that may be chance
        (5, 4, True),
        (7, 6, False),  # six losses later
        (7, 7, True),  # no worse than what serves already
        (7, 8, True),
    ],
)
def test_losses_of_a_class_do_not_add_up(candidate: int, live: int, passes: bool) -> None:
    """One of 48 hotel rooms at a time passes every gate; in all they are too many."""
    truth, proved = Truth.of(ROOM_TRUTH), losing(0, "Hotel room")
    ours, theirs = losing(candidate, "Hotel room"), losing(live, "Hotel room")
    result = judge_erosion(truth, ours, theirs, proved, BOUNDS)

    assert failed(judged(ROOM_TRUTH, ours, theirs)) == set()
    assert result.passed == passes
    assert result.figures["lost: Hotel room"] == pytest.approx(
        candidate / ROOM_TRUTH.count("Hotel room")
    )


def test_losses_of_all_do_not_add_up() -> None:
    """Three of a thousand at a time pass every gate, twenty are more than one per cent."""
    truth, proved = Truth.of(ROOM_TRUTH), losing(0, ROOMS[0])
    steps = [(losing(3 * step + 3, ROOMS[0]), losing(3 * step, ROOMS[0])) for step in range(8)]
    results = [judge_erosion(truth, *step, proved, BOUNDS) for step in steps]

    assert all(failed(judged(ROOM_TRUTH, *step)) == set() for step in steps)
    assert [result.passed for result in results] == [True] * 5 + [False] * 3
    assert "all classes loses" in results[-1].why


def test_chance_alone_is_no_erosion() -> None:
    """Three releases are as good and differ on every fifth listing: one in fifty is refused."""
    chance, truth = np.random.default_rng(5), Truth.of(ROOM_TRUTH)

    def flipped() -> Answers:
        wrong = chance.random(len(ROOM_TRUTH)) < 0.1
        return sure(
            ["none" if each else label for each, label in zip(wrong, ROOM_TRUTH, strict=True)]
        )

    results = [judge_erosion(truth, flipped(), flipped(), flipped(), BOUNDS) for _ in range(100)]

    assert sum(not result.passed for result in results) <= 2


def test_a_class_that_the_older_release_did_not_know_is_not_lost() -> None:
    """What it says of the other classes is compared."""
    proved = sure(["Private room"] * len(ROOM_TRUTH))
    result = judge_erosion(Truth.of(ROOM_TRUTH), drawn(), drawn(), proved, BOUNDS)

    assert result.figures.keys() == {"lost: all classes", "lost: Private room"}


def test_an_overfitted_candidate_is_refused_for_calibration() -> None:
    """Trained to be sure: it says the same as the live release, but as if it could not err."""
    assert failed(judged(ROOM_TRUTH, drawn(sharpness=12), drawn())) == {"calibration"}


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
