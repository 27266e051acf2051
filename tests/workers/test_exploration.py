"""Exploring: how often, which labels, and with what propensity."""

import math
from collections import Counter

import pytest

from artefacts.classifier import Prediction
from schemas.events import InputPosition
from workers.exploration import Shown, shown

SCORES = {"Private room": 0.7, "Entire home/apt": 0.2, "Shared room": 0.1, "Hotel room": 0.0}
SAYS = Prediction("Private room", 0.7, SCORES, False)


def place(number: int) -> InputPosition:
    return InputPosition(topic="listings", partition=0, offset=number)


def test_labels_are_shown_as_often_as_their_propensity_says() -> None:
    """Every other label alike, whatever its score."""
    inputs, epsilon = 20_000, 0.3
    found = Counter(shown(SAYS, epsilon, place(number)) for number in range(inputs))
    propensities = {each.label: each.propensity or 1 for each in found}

    assert len(found) == 4
    assert {name: 0.7 if name == SAYS.label else 0.1 for name in SCORES} == pytest.approx(
        propensities
    )
    for (_, propensity), times in found.items():
        share = propensity or 1
        assert abs(times - inputs * share) < 5 * math.sqrt(inputs * share * (1 - share))


def test_a_repeat_shows_the_same() -> None:
    """The position alone decides."""
    again = [[shown(SAYS, 0.5, place(number)) for number in range(100)] for _ in range(2)]

    assert again[0] == again[1]


def test_nothing_is_explored_by_default() -> None:
    """Then no propensity is written down; nor where there is no other label."""
    alone = Prediction("Private room", 1.0, {"Private room": 1.0}, False)

    assert Shown("Private room") == shown(SAYS, 0.0, place(1)) == shown(alone, 0.5, place(1))


def test_feedback_tells_what_another_rule_would_earn() -> None:
    """The mean of reward / propensity where the rule agrees, though it was rarely followed."""
    inputs, truth = 20_000, "Entire home/apt"  # what nobody would show by the scores
    answers = [shown(SAYS, 0.2, place(number)) for number in range(inputs)]

    def worth(rule: str) -> float:
        accepted = [each for each in answers if each.label == rule == truth]
        return sum(1 / (each.propensity or 1) for each in accepted) / inputs

    assert worth("Entire home/apt") == pytest.approx(1, abs=0.15)
    assert worth("Private room") == 0
