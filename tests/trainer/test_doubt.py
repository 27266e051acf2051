"""Which labels are doubted, by what was said before them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.doubt import EVIDENCE, Belief, Doubt, SelfConfidence

SURE = Belief({"Entire": 0.97, "Private": 0.02, "Shared": 0.01})
WELL_KNOWN = {
    "Entire": SelfConfidence(0.9, EVIDENCE),
    "Private": SelfConfidence(0.8, EVIDENCE),
    "Shared": SelfConfidence(0.3, EVIDENCE),
}


def test_a_label_against_a_confident_prediction_is_doubted() -> None:
    """Both classes are well known, and the score is above the mean of its class."""
    doubt = Doubt(0.9, WELL_KNOWN)

    assert doubt.contradicts("Private", SURE)
    assert not doubt.contradicts("Entire", SURE)


@pytest.mark.parametrize(
    ("label", "belief", "known"),
    [
        ("Private", None, WELL_KNOWN),
        ("Igloo", SURE, WELL_KNOWN),
        ("Shared", SURE, WELL_KNOWN),
        ("Private", SURE, {}),
        ("Private", SURE, WELL_KNOWN | {"Private": SelfConfidence(0.8, EVIDENCE - 1)}),
        ("Private", SURE, WELL_KNOWN | {"Entire": SelfConfidence(0.9, EVIDENCE - 1)}),
        ("Private", SURE, WELL_KNOWN | {"Entire": SelfConfidence(0.98, EVIDENCE)}),
        ("Private", Belief({"Entire": 0.9, "Private": 0.1}), WELL_KNOWN),
    ],
    ids=[
        "nothing was said",
        "a new class",
        "a class that is not told apart yet",
        "the first labels",
        "too few of the class that was given",
        "too few of the class that was said",
        "less sure than usual of the class",
        "not above the bound",
    ],
)
def test_what_is_not_doubted(
    label: str, belief: Belief | None, known: dict[str, SelfConfidence]
) -> None:
    """Neither news nor what the learner does not know well is held back."""
    assert not Doubt(0.9, known).contradicts(label, belief)


def test_one_turns_it_off() -> None:
    """However sure the learner is."""
    certain = Belief({"Entire": 1.0, "Private": 0.0})

    assert not Doubt(1, WELL_KNOWN).contradicts("Private", certain)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=150))
def test_self_confidence_is_the_mean_of_what_came(scores: list[float]) -> None:
    """Exactly so for the first of a class; a class that nobody scored counts as 0."""
    doubt = Doubt(0.9)
    for score in scores:
        doubt.believe("Entire", Belief({"Entire": score}))
    doubt.believe("Igloo", Belief({"Entire": 1.0}))
    doubt.believe("Entire", None)

    assert doubt.known["Entire"].labels == len(scores)
    assert doubt.known["Entire"].mean == pytest.approx(sum(scores) / len(scores))
    assert doubt.known["Igloo"] == SelfConfidence(0.0, 1)


def test_self_confidence_follows_the_stream() -> None:
    """After a thousand labels of another kind the first thousand hardly count."""
    doubt = Doubt(0.9)
    for score in [0.9] * 1_000 + [0.4] * 1_000:
        doubt.believe("Entire", Belief({"Entire": score}))

    assert doubt.known["Entire"].mean == pytest.approx(0.4, abs=0.01)
