"""How well the stream was predicted: over a sliding window, since the start, and at best."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from trainer.prequential import DOMAINS, Prediction, Prequential, Progress

LABELS = st.sampled_from(["Private room", "Shared room", "Hotel room"])
PREDICTIONS = st.lists(
    st.builds(
        Prediction,
        label=LABELS,
        predicted=st.none() | LABELS,
        domain=st.sampled_from(["madrid", "nyc", ""]),
    ),
    min_size=1,
    max_size=40,
)


def fed(predictions: list[Prediction], window: int = 1_000) -> Prequential:
    prequential = Prequential(window=window)
    for prediction in predictions:
        prequential.add(prediction)
    return prequential


def right(predictions: list[Prediction]) -> float:
    return sum(each.right for each in predictions) / len(predictions)


def test_nothing_is_known_before_the_first_label() -> None:
    """There is no accuracy of nothing."""
    counts = Prequential().window

    assert counts.accuracy() is None
    assert counts.macro_f1() is None
    assert counts.recall() == counts.domain_accuracy() == {}


@given(PREDICTIONS, st.integers(1, 20))
def test_a_window_counts_the_last_labels(predictions: list[Prediction], window: int) -> None:
    """All figures are those of the last labels; nothing predicted counts as wrong."""
    counts, last = fed(predictions, window).window, predictions[-window:]

    assert counts.accuracy() == right(last)
    assert counts.recall() == {
        label: right([each for each in last if each.label == label])
        for label in {each.label for each in last}
    }
    assert counts.domain_accuracy() == {
        domain: right([each for each in last if each.domain == domain])
        for domain in {each.domain for each in last}
    }


@given(PREDICTIONS)
def test_all_labels_count_since_the_start(predictions: list[Prediction]) -> None:
    """However many more than the window they are."""
    counts = fed(predictions, window=3).since_start

    assert counts.accuracy() == right(predictions)
    assert counts.labels.total() == len(predictions)


@given(PREDICTIONS)
def test_macro_f1_is_that_of_scikit_learn(predictions: list[Prediction]) -> None:
    """Over the classes that labels name."""
    truth = [each.label for each in predictions]
    said = [each.predicted or "nothing" for each in predictions]
    expected = f1_score(truth, said, average="macro", labels=sorted(set(truth)), zero_division=0)

    assert fed(predictions).window.macro_f1() == pytest.approx(expected)


@given(PREDICTIONS, PREDICTIONS)
def test_it_goes_on_from_its_history(before: list[Prediction], after: list[Prediction]) -> None:
    """After a restart the figures are those of a trainer that never stopped."""
    steady = fed(before, window=7)
    resumed = Prequential(before, [(each, 1) for each in before], window=7)
    for prediction in after:
        steady.add(prediction)
        resumed.add(prediction)

    assert steady.window == resumed.window
    assert steady.since_start == resumed.since_start


def test_forgetting_is_the_best_less_the_last() -> None:
    """A class that was known well and is not any more; another one that only became better."""
    prequential = Prequential(window=100)
    for known, others in ((True, False), (False, True)):
        for _ in range(50):
            prequential.add(
                Prediction("Shared room", "Shared room" if known else "Hotel room", "nyc")
            )
            prequential.add(Prediction("Hotel room", "Hotel room" if others else None, "madrid"))
        prequential.mark()

    assert prequential.classes == {"Shared room": Progress(1, 0), "Hotel room": Progress(1, 1)}
    assert prequential.domains == {"nyc": Progress(1, 0), "madrid": Progress(1, 1)}
    assert prequential.classes["Shared room"].forgetting == 1


def test_few_labels_are_no_best() -> None:
    """Nineteen right ones may be luck; and what left the window keeps its last figure."""
    prequential = Prequential(window=20)
    for _ in range(19):
        prequential.add(Prediction("Shared room", "Shared room"))
    prequential.mark()
    few = dict(prequential.classes)
    prequential.add(Prediction("Shared room", None))
    prequential.mark()
    for _ in range(20):
        prequential.add(Prediction("Hotel room", "Hotel room"))
    prequential.mark()

    assert few == {}
    assert prequential.classes["Shared room"] == Progress(0.95, 0.95)


def test_any_number_of_domains_takes_no_more_room() -> None:
    """A producer that names every listing's street must not fill the metrics."""
    prequential = Prequential(window=25)
    for number in range(DOMAINS + 10):
        for _ in range(25 + number):
            prequential.add(Prediction("Shared room", "Shared room", f"city-{number}"))
        prequential.mark()

    assert len(prequential.domains) == DOMAINS
    assert f"city-{DOMAINS + 9}" in prequential.domains
    assert len(prequential.since_start.domain_accuracy()) == DOMAINS
    assert set(prequential.window.domains) == {f"city-{DOMAINS + 9}"}
