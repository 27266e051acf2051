"""What people's labels and feedback are worth: passes over a toy city, and the page of their figures."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from bench.people.arms import ALL, ARMS, BEGINNING, FIRST, Arm, asking, both, hearing
from bench.people.cities import City, Labelled, Source, _keep, _kept
from bench.people.findings import accuracy, share_of_all, spread
from bench.people.page import page
from bench.people.passing import LOOKS, Look, Pass, Result
from bench.people.pictures import draw
from bench.people.student import Student
from schemas.errors import ConfigurationError
from trainer.learners.base import Examples
from trainer.learners.slda import StreamingLda

ROWS, TEST = 1_500, 300
CLASSES = ("Entire home/apt", "Private room", "Shared room")


def listings(count: int, seed: int) -> Labelled:
    """Points around three centres, of which the last is rare; tokens say nothing."""
    chance = np.random.default_rng(seed)
    of = chance.choice(len(CLASSES), count, p=(0.55, 0.4, 0.05))
    rows = np.eye(8)[of] + chance.normal(0, 0.35, (count, 8))
    features = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return Labelled(Examples(features, [[101, 7, 102]] * count), [CLASSES[each] for each in of])


@pytest.fixture(scope="module")
def city() -> City:
    return City("toy", 0, listings(ROWS, 1), listings(TEST, 2))


def passed(arm: Arm, city: City) -> Result:
    return Pass(arm, city, "slda").run()


def test_a_budget_is_kept(city: City) -> None:
    """Chosen by uncertainty or at random, a fifth of the listings is labelled."""
    for asks in ("uncertain", "random"):
        found = passed(asking(asks, 0.2), city)

        assert found.looks[-1].labels == pytest.approx(0.2 * ROWS, rel=0.2)
        assert len(found.looks) == LOOKS
        assert found.looks[-1].listings == ROWS


def test_all_labels_are_the_learner_itself(city: City) -> None:
    """A pass with all labels ends as the learner that was taught them."""
    learner = StreamingLda()
    for label in CLASSES:
        learner.add_class(label)
    learner.learn(city.stream.examples, city.stream.labels)
    said = learner.logits(city.test.examples).argmax(axis=1).tolist()
    right = [learner.classes[place] for place in said]
    found = passed(next(arm for arm in ARMS if arm.name == ALL), city)

    assert accuracy(found) == pytest.approx(
        np.mean(np.array(right) == np.array(city.test.labels)), abs=1e-9
    )
    assert sum(found.labels.values()) == ROWS


def test_feedback_teaches(city: City) -> None:
    """After the same first labels it is better than without, also with exploration."""
    alone = accuracy(passed(Arm(FIRST, begins=BEGINNING), city))
    for epsilon in (0.0, 0.1):
        found = passed(hearing(epsilon), city)

        assert accuracy(found) >= alone
        assert sum(found.labels.values()) == BEGINNING
        assert found.accepted + found.rejected == ROWS - BEGINNING
    assert passed(hearing(0.1), city) == passed(hearing(0.1), city)


def test_labels_and_feedback_together(city: City) -> None:
    """Nobody is asked for an opinion on what they label; the learner learns anew with both."""
    found = passed(both(0.2), city)

    assert found.accepted + found.rejected + sum(found.labels.values()) == ROWS
    assert accuracy(found) > 0.8


def test_a_student_is_served_with_the_classes_of_the_stream(city: City) -> None:
    """Labels that were asked for seldom stand for many listings."""
    plain, corrected = (Student("slda", CLASSES, city.stream, 0) for _ in range(2))
    chances = {
        place: 0.1 if city.stream.labels[place] == CLASSES[1] else 1.0 for place in range(200)
    }
    plain.learn(dict.fromkeys(chances, 1.0))
    corrected.learn(chances)
    shift = corrected.logits(city.test.examples) - plain.logits(city.test.examples)

    assert (shift[:, 1] > 0).all()
    assert (shift[:, 0] < 0).all()


def test_what_was_encoded_is_kept(tmp_path: Path, city: City) -> None:
    """The next run reads the same features and tokens."""
    examples = Examples(city.test.examples.features[:3], [[1, 2], [3], [4, 5, 6]])
    _keep(examples, tmp_path / "a" / "city.npz")
    found = _kept(tmp_path / "a" / "city.npz")

    np.testing.assert_array_equal(examples.features, found.features)
    assert found.tokens == examples.tokens


def test_a_city_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="atlantis"):
        Source(tmp_path, 10, 12, 5, tmp_path).city("atlantis", 0)


def results() -> list[Result]:
    """Figures by hand: accuracy grows with the labels."""
    shares: Mapping[str, float] = {arm.name: arm.budget for arm in ARMS}
    return [
        Result(
            "toy",
            name,
            seed,
            [Look(100, round(100 * share), 0.7 + share / 10 + seed / 100, 0.5)],
            {},
            0.8,
        )
        for name, share in shares.items()
        for seed in (0, 1)
    ]


def test_figures_are_compared_seed_by_seed() -> None:
    """The share of the accuracy of all labels is that of the same stream."""
    found = share_of_all(results(), "toy", asking("uncertain", 0.2).name, accuracy)
    alone = spread(results(), "toy", ALL, accuracy)

    assert found is not None
    assert found.mean == pytest.approx((0.72 / 0.8 + 0.73 / 0.81) / 2)
    assert alone is not None
    assert alone.mean == pytest.approx(0.805)
    assert spread(results(), "nowhere", ALL, accuracy) is None


def test_the_page_says_what_was_found(tmp_path: Path) -> None:
    """Whether the target is reached, every arm, and a picture with the same bytes every time."""
    pictures = draw(results(), tmp_path)
    before = (tmp_path / "toy.svg").read_bytes()
    draw(results(), tmp_path)
    about = {"rows": 1_000, "pool": 1_200, "test rows": 300, "seeds": 2}
    text = page(results(), about, {city: f"people/{file}" for city, file in pictures.items()})

    assert before == (tmp_path / "toy.svg").read_bytes()
    assert "| toy | 90.1 ± 0.1 | 90.1 ± 0.1 | no |" in text
    assert "people/toy.svg" in text
    assert "1,000 listings" in text
