"""The page says what was found, of a drift and of noise, and what was not run."""

from bench.learning.report import page
from bench.learning.results import Result
from bench.learning.streams import DECIDED, DRIFT, DRIFT_STREAM, NOISE_STREAM, SHUFFLED_STREAM
from tests.bench.results import cells, result

OLD, NEW = DRIFT


def drifted(
    method: str, by_part: list[dict[str, float]], alarms: list[int], seed: int = 0
) -> Result:
    """A run on the stream with a drift after 3,000 labels, judged after each of these."""
    judged = len(by_part)
    return result(
        DRIFT_STREAM,
        method,
        seed,
        labels=[3_000, 4_000, 6_000][-judged:],
        accuracies=[0.8] * judged,
        by_part=[{DECIDED: part[NEW] / 2, **part} for part in by_part],
        phases=[OLD, f"{NEW}, first 1,000", NEW][-judged:],
        announced=0 if method.startswith("alone") else 3,
        alarms=alarms,
    )


def test_a_drift_is_told_by_its_alarms_and_by_both_kinds_of_titles() -> None:
    """The new ones against a model that learned nothing else, the old ones against what they were."""
    ours = [{OLD: 0.85, NEW: 0.4}, {OLD: 0.85, NEW: 0.79}, {OLD: 0.86, NEW: 0.8}]
    results = [
        drifted("ours", ours, [3_048, 5_000]),
        drifted("ours", ours, [], seed=1),
        drifted("alone", [{OLD: 0.3, NEW: 0.8}], []),
        drifted("alone", [{OLD: 0.3, NEW: 0.78}], [], seed=1),
        drifted("alone-soon", [{OLD: 0.3, NEW: 0.7}], []),
    ]
    text = page(results, [], {"seeds": 2}, {})

    assert (
        "| mixture + slow path (roomstream) | +9.0 | +0.0 ± 1.4 | +4.5 | +0.0 ± 0.7 | +1.0 ± 0.0 |"
    ) in text
    assert (
        f"- mixture + slow path (roomstream): 48 labels into {NEW}, first 1,000 (seed 0), "
        f"1,000 labels into {NEW} (seed 0)\n"
    ) in text
    assert "fine-tuning on the new data alone: none" not in text


def test_no_alarm_is_told_too() -> None:
    """A trainer that saw no drift says so."""
    quiet = drifted(
        "mixture", [{OLD: 0.8, NEW: 0.4}, {OLD: 0.8, NEW: 0.8}, {OLD: 0.8, NEW: 0.8}], []
    )

    assert "- mixture only: none\n" in page([quiet], [], {}, {})


def test_noise_is_told_at_the_end_of_each_phase_and_at_its_worst() -> None:
    """Seed by seed against the same stream without it."""
    phases = ["first half", "30% wrong labels", "rest"]
    results = [
        *(result(SHUFFLED_STREAM, "mixture", seed, accuracies=[0.7, 0.8, 0.8]) for seed in (0, 1)),
        result(NOISE_STREAM, "mixture", 0, accuracies=[0.7, 0.78, 0.81], phases=phases),
        result(NOISE_STREAM, "mixture", 1, accuracies=[0.7, 0.8, 0.79], phases=phases),
    ]
    noise = page(results, [], {}, {}).partition("## Noise")[2].partition("| accuracy minus")[2]

    assert noise.startswith(
        " that without noise | after: first half | after: 30% wrong labels | after: rest | worst |"
    )
    assert cells(noise, "mixture only") == ["+0.0 ± 0.0", "-1.0 ± 1.4", "+0.0 ± 1.4", "-1.5 ± 0.7"]


def test_rows_that_a_stream_does_not_have_are_named() -> None:
    """With the reason; a release that never came has no time to it."""
    found = result(NOISE_STREAM, "mixture", announced=0, label_to_live_seconds=None)
    text = page([found], [], {}, {})

    assert "joint fine-tuning + n-grams (a bound with wrong labels is none)" in text
    assert "naive fine-tuning (in random order it is joint fine-tuning)" in text
    assert cells(text, "mixture only")[5] == "never"
    assert "Not run" not in page([result("nyc → dublin", "mixture")], [], {}, {})
