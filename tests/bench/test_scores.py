"""The figures of continual learning, against values worked out by hand."""

from dataclasses import replace

import pytest

from bench.learning.results import Spread
from bench.learning.rows import Row
from bench.learning.scores import scores
from bench.learning.streams import Part, Phase, Stream

TEST = [
    Row(f"{part}{n}", "", label, part, part, tested=True)
    for part in ("p", "q")
    for n, label in enumerate("aabb")
]
PARTS = [Part("p", [0, 1, 2, 3], since=0), Part("q", [4, 5, 6, 7], since=1)]


def stream(parts: list[Part] = PARTS) -> Stream:
    """Two cities of four test rows, half of each class."""
    return Stream("s", [Phase("p", []), Phase("q", []), Phase("r", [])], TEST, parts, [])


def test_what_was_better_before_is_forgotten() -> None:
    """p: 3/4, 4/4, 2/4: the best minus the end; since it was taught it lost 1/4. q gained 1/4."""
    found = scores(stream(), [1, 2, 3], ["aaabbbbb", "aabbbbbb", "aaaaaaab"])

    assert [each["p"] for each in found.by_part] == [0.75, 1.0, 0.5]
    assert [each["q"] for each in found.by_part] == [0.5, 0.5, 0.75]
    assert found.forgetting == pytest.approx((0.5 - 0.25) / 2)
    assert found.backward_transfer == pytest.approx((-0.25 + 0.25) / 2)
    assert found.accuracy == found.average_accuracy == pytest.approx(0.625)
    assert found.accuracies == pytest.approx([0.625, 0.75, 0.625])
    assert found.recall == {"a": 1.0, "b": 0.25}


def test_no_mean_is_over_what_is_looked_at_by_itself() -> None:
    """An aside has its own accuracy, and changes nothing else."""
    said = ["aaabbbbb", "aabbbbbb", "aaaaaaab"]
    plain = scores(stream(), [1, 2, 3], said)
    found = scores(replace(stream(), asides=[Part("last of q", [7], since=1)]), [1, 2, 3], said)

    assert [each.pop("last of q") for each in found.by_part] == [1.0, 1.0, 1.0]
    assert found == plain


def test_the_last_part_cannot_be_forgotten() -> None:
    """What the last phase teaches first has no earlier best."""
    found = scores(stream([PARTS[0], Part("q", [4, 5, 6, 7], since=2)]), [1, 2, 3], [
        "aabbbbbb", "aabbbbbb", "aabbaaaa",
    ])  # fmt: skip

    assert found.forgetting == 0


def test_what_is_learned_at_once_forgets_nothing() -> None:
    """One judgement tells nothing of forgetting."""
    found = scores(stream(), [3], ["aabbaabb"])

    assert (found.accuracy, found.macro_f1) == (1, 1)
    assert (found.forgetting, found.backward_transfer) == (None, None)


def test_macro_f1_is_over_the_classes_that_a_domain_has() -> None:
    """Saying a class that a city has not costs recall of the others, and no class of its own."""
    found = scores(stream(), [3], ["aabcaabb"])
    of_p = (1 + 2 * 1 * 0.5 / 1.5) / 2

    assert found.macro_f1 == pytest.approx((of_p + 1) / 2)
    assert found.macro_f1_by_domain == pytest.approx({"p": of_p, "q": 1})


def test_a_spread_leaves_out_what_is_not_known() -> None:
    """The mean over what is known, and no deviation of one figure."""
    assert Spread.of([None]) is None
    assert Spread.of([0.5, None]) == Spread(0.5, None)
    assert Spread.of([0.25, 0.75]) == Spread(0.5, pytest.approx(0.125**0.5))  # type: ignore[arg-type]
