"""The page says what was found of a drift, and when it was seen."""

from bench.learning.report import page
from bench.learning.results import Result
from bench.learning.scores import Scores
from bench.learning.streams import DECIDED, DRIFT, DRIFT_STREAM

OLD, NEW = DRIFT


def result(
    method: str, by_part: list[dict[str, float]], alarms: list[int], seed: int = 0
) -> Result:
    """A run on the stream with a drift after 3,000 labels, judged after each of these."""
    labels = [3_000, 4_000, 6_000][-len(by_part) :]
    scores = Scores(
        accuracy=0.8,
        macro_f1=0.5,
        average_accuracy=0.8,
        recall={"Private room": 0.7},
        forgetting=0.0,
        backward_transfer=0.0,
        labels=labels,
        accuracies=[0.8] * len(labels),
        by_part=[{DECIDED: part[NEW] / 2, **part} for part in by_part],
    )
    phases = [OLD, f"{NEW}, first 1,000", NEW][-len(by_part) :]
    made = 0 if method == "alone" else 3
    return Result(DRIFT_STREAM, method, seed, scores, phases, 5.0, 0.3, made, 1, alarms)


def test_a_drift_is_told_by_its_alarms_and_by_both_kinds_of_titles() -> None:
    """The new ones against a model that learned nothing else, the old ones against what they were."""
    ours = [{OLD: 0.85, NEW: 0.4}, {OLD: 0.85, NEW: 0.79}, {OLD: 0.86, NEW: 0.8}]
    results = [
        result("ours", ours, [3_048, 5_000]),
        result("ours", ours, [], seed=1),
        result("alone", [{OLD: 0.3, NEW: 0.8}], []),
        result("alone", [{OLD: 0.3, NEW: 0.78}], [], seed=1),
    ]
    text = page(results, [], {"seeds": 2}, {})

    assert "| mixture + slow path (roomstream) | +0.0 ± 1.4 | +0.0 ± 0.7 | +1.0 ± 0.0 |" in text
    assert (
        f"- mixture + slow path (roomstream): 48 labels into {NEW}, first 1,000 (seed 0), "
        f"1,000 labels into {NEW} (seed 0)\n"
    ) in text
    assert "fine-tuning on the new data alone: none" not in text


def test_no_alarm_is_told_too() -> None:
    """A trainer that saw no drift says so."""
    quiet = result(
        "mixture", [{OLD: 0.8, NEW: 0.4}, {OLD: 0.8, NEW: 0.8}, {OLD: 0.8, NEW: 0.8}], []
    )

    assert "- mixture only: none\n" in page([quiet], [], {}, {})
