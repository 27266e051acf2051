"""What a release changed, as figures, sentences and tables."""

from pathlib import Path

import msgspec
import pytest

from artefacts.manifest import Manifest
from artefacts.store import Store
from roomstream.explaining.explanation import Change, Explanation, explain
from roomstream.explaining.tables import classes
from roomstream.explaining.terminal import print_explanation, sparkline
from roomstream.explaining.words import sentences
from tests.roomstream.explaining.pairs import HOSTILE, pair


@pytest.fixture
def manifests(tmp_path: Path) -> tuple[Manifest, Manifest]:
    """A parent and a release."""
    return pair(Store(f"file://{tmp_path / 'store'}"))


def test_every_class_is_put_beside_the_parents(manifests: tuple[Manifest, Manifest]) -> None:
    """Labels and recall before, now and the difference; what the parent lacked has none."""
    parent, release = manifests
    rows = {row[0]: row[1:] for row in classes(explain(release, parent)).rows}

    assert rows == {
        "Entire home/apt": ("300", "420", "+120", "95.0%", "91.0%", "-4.0", "100 → 100"),
        "Private room": ("200", "200", "+0", "90.0%", "94.0%", "+4.0", "100 → 100"),
        "Shared room": ("0", "60", "+60", "—", "50.0%", "—", "100"),
        "Hotel room": ("0", "0", "+0", "—", "—", "—", "0"),
        HOSTILE: ("0", "1", "+1", "—", "—", "—", "0"),
    }


def test_what_changed_is_said_in_sentences(manifests: tuple[Manifest, Manifest]) -> None:
    """Data, new classes, deletions, quality, what was won and lost, gates, fine-tuning."""
    parent, release = manifests
    said = "\n".join(sentences(explain(release, parent)))

    for words in (
        f"It comes from {parent.release} and has the same encoder.",
        "It learned 681 labels, 181 more than its parent (Entire home/apt +120, Shared room +60,",
        f"It knows Shared room, Hotel room, {HOSTILE}, which its parent did not.",
        "3 of the labels are of listings that were deleted since, 3 of them since its parent.",
        "right for 90.0% (87.0% to 93.0% with 95% confidence), judged by 400 listings",
        "its parent's were for 86.2% of 400",
        "Recall grew most for Private room: 90.0% before, 94.0% now",
        "Recall fell most for Entire home/apt: 95.0% before, 91.0% now",
        "It failed 1 of 2 gates: recall of every class.",
        "0.880 at step 0, 0.610 at step 100, which is kept, and 0.660 at the end, step 200",
    ):
        assert words in said


def test_a_class_that_is_gone_is_named(manifests: tuple[Manifest, Manifest]) -> None:
    """Going back to fewer classes is a change as well."""
    richer, poorer = reversed(manifests)
    said = "\n".join(sentences(explain(poorer, richer)))

    assert f"It no longer answers with Shared room, Hotel room, {HOSTILE}." in said


def test_without_a_parent_it_says_so(manifests: tuple[Manifest, Manifest]) -> None:
    """A first release has none; that of another may be gone from the store."""
    parent, release = manifests

    assert "It has no parent" in sentences(explain(parent, None))[0]
    assert (
        f"Its parent {parent.release} cannot be read from this store"
        in sentences(explain(release, None))[0]
    )
    assert {each.labels.before for each in explain(release, None).classes} == {None}


def test_a_release_that_was_not_measured_says_so(manifests: tuple[Manifest, Manifest]) -> None:
    """Neither gates nor figures are made up for an imported model."""
    parent, _ = manifests
    plain = msgspec.structs.replace(parent, quality=None)
    explanation = explain(plain, None)

    assert explanation.measures == []
    assert "It passed no gates: the trainer did not make it." in sentences(explanation)
    assert "How good it is was not measured: no listing was held out." in sentences(explanation)


def test_an_explanation_is_data(manifests: tuple[Manifest, Manifest]) -> None:
    """What --json prints can be read again, and is the same."""
    parent, release = manifests
    explanation = explain(release, parent)

    assert msgspec.json.decode(msgspec.json.encode(explanation), type=Explanation) == explanation


def test_a_label_can_do_nothing_to_a_terminal(
    manifests: tuple[Manifest, Manifest], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever labels listings may name a class so that it would clear the screen of an operator."""
    parent, release = manifests
    nasty = "[red]\x1b[2J\x9b2J\rsuite"
    release = msgspec.structs.replace(release, labels=[*parent.labels, nasty])

    print_explanation(explain(release, parent))
    printed = capsys.readouterr().out

    assert "[red][2J2Jsuite" in printed
    assert not {"\x1b", "\x9b", "\r"} & set(printed)


def test_differences_need_both_sides() -> None:
    """A figure that one side lacks did not change by its own size."""
    assert (Change(None, 0.5).difference, Change(0.5, None).difference) == (None, None)
    assert Change(0.25, 0.5).difference == 0.25


@pytest.mark.parametrize(
    ("values", "drawn"), [([3.0, 2.0, 1.0], "█▅▁"), ([1.0], "▁"), ([0.5, 0.5], "▁▁")]
)
def test_a_curve_fits_in_a_line(values: list[float], drawn: str) -> None:
    """Least and largest are at the ends of the scale, and a flat curve is flat."""
    assert drawn == sparkline(values)
