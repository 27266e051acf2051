"""Asking people: within the budget whatever the scores, with the probability that is written down."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artefacts.classifier import Prediction
from schemas.events import InputPosition
from workers.review import RECENT, Entropies, EntropyBudget, Review, entropies

LENGTH = 12_000


def _streams() -> dict[str, Entropies]:
    chance, time = np.random.default_rng(7), np.linspace(0, 1, LENGTH)
    noise = chance.exponential(0.2, LENGTH)
    return {
        "constant": np.full(LENGTH, 1.386),
        "nothing is in doubt": np.zeros(LENGTH),
        "any": noise,
        "bimodal": np.where(chance.random(LENGTH) < 0.3, 1.2, 0.01),
        "rarely in doubt": np.where(chance.random(LENGTH) < 0.001, 1.2, 0.01),
        "rising": time,
        "falling": 1 - time,
        "drifting": noise + time,
        "another release": np.where(time < 0.5, noise + 1, noise / 5),
        "waves": np.sin(time * 60) + noise,
    }


STREAMS = _streams()


def place(number: int, topic: str = "listings") -> InputPosition:
    return InputPosition(topic=topic, partition=number % 3, offset=number)


def predictions(*confidences: float) -> list[Prediction]:
    return [Prediction("a", each, {"a": each, "b": 1 - each}, False) for each in confidences]


@pytest.mark.parametrize("budget", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("name", STREAMS)
def test_the_budget_holds_for_every_stream(name: str, budget: float) -> None:
    """Never more than 11 over it; in the long run no less, even where every answer is a surprise."""
    asked = np.array(EntropyBudget(budget).chances(STREAMS[name])).cumsum()
    due = budget * np.arange(1, LENGTH + 1)

    assert (asked - due).max() <= 11 - budget + 1e-6
    assert (due - asked).max() <= 10 * (1 - budget) / budget + budget + 1e-6
    if name not in ("falling", "rising"):
        assert asked[-1] == pytest.approx(due[-1], rel=0.15)


@given(
    st.lists(st.sampled_from([0.0, 0.3, 0.69, 1.1]) | st.floats(0, 3), max_size=60),
    st.floats(0, 1),
)
def test_no_stream_is_asked_about_too_often(found: list[float], budget: float) -> None:
    """Whatever it is; each chance is one, and it does not matter where windows end."""
    whole = EntropyBudget(budget).chances(np.array(found))
    cut = EntropyBudget(budget)
    parts = [chance for each in found for chance in cut.chances(np.array([each]))]

    assert whole == parts
    assert all(0 <= each <= 1 for each in whole)
    assert sum(whole) <= budget * len(whole) + 11


@pytest.mark.parametrize(("budget", "chance"), [(0.0, 0.0), (1.0, 1.0)])
def test_nothing_or_everything_can_be_asked(budget: float, chance: float) -> None:
    """The ends of the budget are exact."""
    assert {chance} == set(EntropyBudget(budget).chances(STREAMS["waves"]))


def test_the_most_uncertain_are_asked() -> None:
    """Of a steady stream: nearly all of the highest entropies, nothing of the lower ones."""
    found = STREAMS["any"]
    chances = np.array(EntropyBudget(0.05).chances(found))[RECENT:]
    ranked = chances[np.argsort(-found[RECENT:])]

    assert ranked[: len(ranked) // 50].mean() > 0.95
    assert ranked[len(ranked) // 10 :].max() < 0.01


def test_equal_scores_have_equal_chances() -> None:
    """An untrained release says the same of everything: a sample of it is drawn at random."""
    assert pytest.approx([0.1] * 3000) == EntropyBudget(0.1).chances(np.full(3000, 1.386))


def test_what_certain_times_leave_is_spent_in_doubt() -> None:
    """After a quiet stretch a new kind of listing is asked about more often than the budget."""
    quiet, doubt = np.linspace(0.5, 0.1, 2000), np.full(500, 1.0)
    budget = EntropyBudget(0.05)
    budget.chances(quiet)

    assert sum(budget.chances(doubt)) > 2 * 0.05 * 500


def test_the_threshold_is_an_entropy_of_late() -> None:
    """A share of the recent entropies is above it; before the first, or without a budget, is none."""
    budget = EntropyBudget(0.05)
    before = budget.threshold
    budget.chances(STREAMS["any"])
    recent = STREAMS["any"][-RECENT:]

    assert math.isnan(before)
    assert math.isnan(Review(0.1).threshold)
    assert 0.01 < (recent > budget.threshold).mean() < 0.12


def test_propensities_are_frequencies() -> None:
    """The same scores in many other places: each is asked about as often as it says."""
    found = STREAMS["bimodal"][:60]
    worlds = 1500
    chances = EntropyBudget(0.3).chances(found)
    review = Review(0.1, 0.3)
    asked = Counter[int]()
    reasons = Counter[tuple[int, str]]()
    propensities: dict[int, float] = {}
    for world in range(worlds):
        for number, chance in enumerate(chances):
            if ask := review.ask(place(number, f"world-{world}"), chance):
                asked[number] += 1
                reasons[number, ask.reason] += 1
                assert propensities.setdefault(number, ask.propensity) == ask.propensity
    for number, chance in enumerate(chances):
        # five standard deviations
        for times, of in (
            (asked[number], 1 - (1 - chance) * 0.9),
            (reasons[number, "uncertain"], chance),
            (reasons[number, "random"], (1 - chance) * 0.1),
        ):
            assert abs(times - worlds * of) <= 5 * math.sqrt(worlds * of * (1 - of)) + 1e-9
        assert propensities[number] == pytest.approx(1 - (1 - chance) * 0.9)
    assert len({round(each, 2) for each in chances}) > 5


def test_weighted_by_propensity_the_asked_are_the_stream() -> None:
    """The mean entropy of all answers is found from those that were asked about (Horvitz-Thompson)."""
    found = STREAMS["drifting"]
    review = Review(0.05, 0.1)
    probabilities = np.stack([found * 0, found * 0 + 1], axis=1).astype(np.float32)
    assert entropies(probabilities).max() == 0
    chances = EntropyBudget(0.1).chances(found)
    weighed = sum(
        found[number] / ask.propensity
        for number, chance in enumerate(chances)
        if (ask := review.ask(place(number), chance))
    )

    assert found.mean() == pytest.approx(weighed / LENGTH, rel=0.1)


def test_without_a_budget_the_threshold_of_the_release_decides() -> None:
    """All under it, with certainty, and nothing of the others."""
    found = predictions(0.55, 0.6, 0.9)
    probabilities = np.zeros((3, 2), np.float32)

    assert Review(0.5).chances(found, probabilities, 0.6) == [1.0, 0.0, 0.0]


def test_with_a_budget_the_threshold_of_the_release_does_not_count() -> None:
    """The budget may be under what the threshold would ask, or over."""
    found = predictions(*[0.55] * 200)
    probabilities = np.array([[0.55, 0.45]] * 200, np.float32)

    for below in (0.0, 0.6):
        chances = Review(0.0, 0.1).chances(found, probabilities, below)
        assert pytest.approx(chances) == [0.1] * 200


def test_the_last_bits_of_a_score_do_not_decide() -> None:
    """They depend on the padding: such answers are equal."""
    chance = np.random.default_rng(3)
    jitter = 1 + chance.normal(0, 1e-7, 500)

    assert pytest.approx(EntropyBudget(0.1).chances(jitter), rel=1e-3) == [0.1] * 500


def test_entropy_is_in_nats() -> None:
    """Of scores that say nothing it is the log of the classes, of certain ones 0."""
    rows = np.array([[0.25] * 4, [1, 0, 0, 0], [0.5, 0.5, 0, 0]], np.float32)

    assert [math.log(4), 0, math.log(2)] == pytest.approx(entropies(rows).tolist())
