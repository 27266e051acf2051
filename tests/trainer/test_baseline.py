"""The classifier that a release must be better than."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.releases import ROOM_TYPES
from tests.trainer.bench import Bench
from tests.trainer.labels import labelled, learned_numbers
from trainer.baseline import Baseline, fitted

SHARES = dict.fromkeys(ROOM_TYPES, 0.25)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def test_it_learns_what_is_in_the_replay_buffer(bench: Bench) -> None:
    """Words of a room type tell it, in Spanish and English."""
    bench.feed(*(labelled(number) for number in learned_numbers(200)))
    unseen = [labelled(number) for number in learned_numbers(50, start=5_000)]
    said = Baseline(bench.database).answers([event.title for event in unseen], "e", 200, SHARES)

    assert said is not None
    right = sum(one == event.label for one, event in zip(said, unseen, strict=True))
    assert right > 45


def test_it_needs_two_classes_and_a_word(bench: Bench) -> None:
    """Else there is nothing to be better than."""
    bench.feed(labelled(0), labelled(4))

    assert Baseline(bench.database).answers(["piso"], "e", 2, SHARES) is None
    assert fitted(["!", "?"], ["Shared room", "Hotel room"], SHARES) is None


def test_rare_classes_weigh_what_they_weigh_in_the_stream() -> None:
    """Of a word that says nothing, the common class is the better guess, whatever the buffer holds."""
    texts, labels = ["casa"] * 10, ["Shared room"] * 5 + ["Entire home/apt"] * 5
    model = fitted(texts, labels, {"Shared room": 0.1, "Entire home/apt": 0.9})

    assert model is not None
    assert model.predict(["casa"]) == ["Entire home/apt"]


def test_it_is_fitted_again_for_more_labels_or_another_encoder(bench: Bench) -> None:
    """And not at every candidate: they are made every few seconds."""
    bench.feed(*(labelled(number) for number in learned_numbers(40)))
    baseline = Baseline(bench.database)
    baseline.answers(["piso"], "first", 40, SHARES)
    new = learned_numbers(8, start=900)
    bench.feed(*(labelled(number, label="Igloo", title="iglú") for number in new), first=40)
    unchanged = baseline.answers(["iglú"], "first", 41, SHARES)
    changed = baseline.answers(["iglú"], "second", 41, SHARES)

    assert unchanged != ["Igloo"]
    assert changed == ["Igloo"]
