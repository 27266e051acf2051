"""The page begins with what was asked, and says of each whether it was reached."""

import pytest

from bench.learning.asked import asked
from bench.learning.streams import (
    BURST_STREAM,
    CITIES_STREAM,
    DRIFT,
    DRIFT_STREAM,
    NOISE_STREAM,
    SHUFFLED_STREAM,
)
from tests.bench.results import cells, result


def test_the_mean_over_seeds_is_judged() -> None:
    """Each seed against joint fine-tuning with the same seed; one that joint has not is left out."""
    results = [
        *(result(CITIES_STREAM, "joint", seed, accuracy=0.8 + seed / 100) for seed in (0, 1)),
        *(result(CITIES_STREAM, "ours", seed, accuracy=0.798) for seed in (0, 1, 2)),
    ]
    page = asked(results)

    assert cells(page, "cities in turn: accuracy minus joint fine-tuning") == [
        "-0.5 or more", "-0.7 ± 0.7", "no",
    ]  # fmt: skip
    assert cells(page, "cities in turn: macro-F1 minus joint fine-tuning")[1:] == [
        "+0.0 ± 0.0",
        "yes",
    ]
    assert cells(page, "cities in turn: forgetting")[1:] == ["0.0 ± 0.0", "yes"]
    assert cells(page, "class burst: accuracy minus joint fine-tuning")[1:] == ["", "not measured"]


def test_every_city_is_compared_with_tfidf() -> None:
    """A city where TF-IDF is better is named; macro-F1 by city is told where it was noted."""
    accuracy = {"ours": (0.8, 0.9), "tfidf": (0.7, 0.91)}
    results = [
        result(CITIES_STREAM, name, by_part=[dict(zip(("nyc", "dublin"), each, strict=True))])
        for name, each in accuracy.items()
    ]
    noted = [
        result(CITIES_STREAM, name, macro_f1_by_domain={"nyc": f1})
        for name, f1 in (("ours", 0.6), ("tfidf", 0.5))
    ]

    assert cells(asked(results), "the same in each city: accuracy")[1:] == [
        "nyc +10.0; dublin -1.0", "no: dublin",
    ]  # fmt: skip
    assert cells(asked(results), "the same in each city: macro-F1")[1:] == ["", "not measured"]
    assert cells(asked(noted), "the same in each city: macro-F1")[1:] == ["nyc +10.0", "yes"]


def test_recall_is_told_as_a_share_of_joint_fine_tuning() -> None:
    """Of the means over seeds; what joint fine-tuning never finds cannot be lost."""
    recalls = {
        "ours": [
            {"Hotel room": 0.0, "Private room": 0.6},
            {"Hotel room": 0.0, "Private room": 0.7},
        ],
        "joint": [
            {"Hotel room": 0.0, "Private room": 0.8},
            {"Hotel room": 0.0, "Private room": 0.8},
        ],
    }
    page = asked(
        [
            result(BURST_STREAM, name, seed, recall=recall)
            for name, seeds in recalls.items()
            for seed, recall in enumerate(seeds)
        ]
    )

    assert cells(page, "class burst: recall of each class as a share of joint fine-tuning's")[1:] == [
        "Hotel room 1.00; Private room 0.81 ± 0.09", "no: Private room",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("alarms", "measured"), [([900, 1_060, 1_070], ["60", "yes"]), ([900], ["2000", "no"])]
)
def test_a_drift_is_seen_when_an_alarm_follows_it(alarms: list[int], measured: list[str]) -> None:
    """An alarm before it says nothing of it; without one all labels after it count."""
    phases = [{DRIFT[0]: 0.8, DRIFT[1]: 0.4}] * 3
    ours = result(DRIFT_STREAM, "ours", labels=[1_000, 2_000, 3_000], by_part=phases, alarms=alarms)

    assert cells(asked([ours]), "sharp drift: labels until it is seen")[1:] == measured


def test_noise_is_judged_at_the_end_of_each_phase() -> None:
    """What was mended by the end was lost for a while all the same; alarms are counted without noise."""
    phases = ["first half", "30% wrong labels", "rest"]
    calm = result(
        SHUFFLED_STREAM, "ours", accuracies=[0.8, 0.8, 0.8], labels=[100, 200, 20_000], alarms=[5]
    )
    noisy = result(NOISE_STREAM, "ours", accuracies=[0.8, 0.78, 0.795], phases=phases)
    page = asked([calm, noisy])

    assert cells(page, "noise: accuracy minus that without noise, at the end of each phase") == [
        "-1.0 or more", "first half +0.0; 30% wrong labels -2.0; rest -0.5", "no: 30% wrong labels",
    ]  # fmt: skip
    assert cells(page, "shuffled: drift alarms in 10,000 labels (of 20,000 seen)")[1:] == [
        "0.5",
        "yes",
    ]


def test_other_streams_are_asked_nothing() -> None:
    """There is no table of what was not measured."""
    assert asked([result("bilbao → cork", "ours")]) == ""
