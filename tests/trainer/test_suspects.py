"""Labels that are held back: by a trainer with a real encoder and a real file."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from roomstream.verdicts import accepted, rejected
from schemas.codec import decode, encode
from schemas.errors import ConfigurationError
from schemas.events import LabelledEvent
from schemas.topics import Topic
from tests.trainer.bench import Bench
from tests.trainer.labels import AT, deletion, labelled, learned_numbers, record, records
from trainer.learners.base import Examples
from trainer.suspects import KEPT, read_suspects

KNOWN = 320
NUMBERS = learned_numbers(4, start=1_000)
SUSPECT = labelled(NUMBERS[0])
WRONG = "Shared room" if SUSPECT.label != "Shared room" else "Private room"


def wrong(number: int = NUMBERS[0], **fields: object) -> LabelledEvent:
    """A label that contradicts what the listing says."""
    event = labelled(number)
    label = WRONG if event.label != WRONG else "Hotel room"
    return msgspec.structs.replace(event, **({"label": label} | fields))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A trainer that knows every class well."""
    bench = Bench(tmp_path, suspect_confidence=0.6)
    for start in range(0, KNOWN, 64):
        bench.feed(*map(labelled, range(start, start + 64)), first=start)
    yield bench
    bench.close()


def test_a_doubted_label_is_held_back(bench: Bench) -> None:
    """It is neither learned nor kept for replay or judgement, but shown with what was said instead."""
    before, kept, held_out = bench.learning.learner.state(), bench.kept, bench.held_out
    judging = learned_numbers(1, held_out=True, start=1_000)[0]
    bench.feed(wrong(annotator="ana"), wrong(judging), first=KNOWN)
    suspect, _ = read_suspects(bench.folder / "trainer.sqlite")

    assert (before, kept, held_out) == (bench.learning.learner.state(), bench.kept, bench.held_out)
    assert (suspect.label.event_id, suspect.label.annotator) == (wrong().event_id, "ana")
    assert (suspect.label.text, suspect.label.label) == (wrong().title, WRONG)
    assert (suspect.said, suspect.label.record.offset) == (SUSPECT.label, KNOWN)
    assert 0.6 < suspect.confidence <= 1
    assert bench.count("suspect") == 2
    assert bench.metrics.registry.get_sample_value("roomstream_trainer_suspects") == 2


def test_right_labels_are_not_doubted(bench: Bench) -> None:
    """Nor those of a class that just came."""
    events = [labelled(n) for n in range(2_000, 2_040)]
    igloos = [labelled(n, label="Igloo") for n in range(3_000, 3_010)]
    bench.feed(*events, *igloos, first=KNOWN)

    assert bench.count("suspect") == 0


def test_a_suspect_that_comes_again_is_one(bench: Bench) -> None:
    """The same event, in one batch, another, or after a restart, confirms nothing."""
    bench.feed(wrong(), wrong(), first=KNOWN)
    bench.feed(wrong(), first=KNOWN + 2)
    bench.restart()
    bench.feed(wrong(), first=KNOWN + 3)

    assert bench.database.suspects.count() == 1
    assert bench.count("repeated") == 1


@pytest.mark.parametrize("together", [True, False])
def test_a_second_label_releases_it(bench: Bench, together: bool) -> None:
    """Somebody else says the same: both count."""
    before = bench.database.last_learned()
    events = [wrong(annotator="ana"), wrong(annotator="bo", event_id="second")]
    if together:
        bench.feed(*events, first=KNOWN)
    else:
        bench.feed(events[0], first=KNOWN)
        bench.restart()
        bench.feed(events[1], first=KNOWN + 1)

    assert bench.database.suspects.all() == []
    assert bench.database.last_learned() == before + 2
    assert bench.kept[wrong().listing_id] == WRONG
    assert {"second", wrong().event_id} == bench.database.known(["second", wrong().event_id])


def test_an_annotator_does_not_confirm_themselves(bench: Bench) -> None:
    """Saying it twice is not a second opinion."""
    bench.feed(wrong(annotator="ana"), wrong(annotator="ana", event_id="second"), first=KNOWN)

    assert bench.database.suspects.count() == 2


def test_another_opinion_releases_nothing(bench: Bench) -> None:
    """What agrees with the model is learned, the suspect waits for a person."""
    bench.feed(wrong(), msgspec.structs.replace(SUSPECT, event_id="right"), first=KNOWN)

    assert bench.database.suspects.count() == 1
    assert bench.kept[SUSPECT.listing_id] == SUSPECT.label


def test_an_operator_accepts_or_rejects(bench: Bench) -> None:
    """What the command sends is a label that counts, or a rejection that ends it."""
    bench.feed(wrong(), wrong(NUMBERS[1]), first=KNOWN)
    one, other = (suspect.label for suspect in bench.database.suspects.all())
    before = bench.database.last_learned()
    bench.feed(accepted(one, AT), accepted(one, AT), rejected(other, AT), first=KNOWN + 2)

    assert bench.database.suspects.all() == []
    assert bench.database.last_learned() == before + 2
    assert bench.kept[one.listing_id] == one.label
    assert other.listing_id not in bench.kept


@pytest.mark.parametrize("text", ["Piso", "Piso\nLuminoso\ny tranquilo", "\nPiso"])
def test_a_verdict_says_the_very_same_text(bench: Bench, text: str) -> None:
    """Title and description as one text, whatever line breaks are in it."""
    bench.feed(wrong(), first=KNOWN)
    (suspect,) = bench.database.suspects.all()
    label = replace(suspect.label, text=text, domain="madrid")
    for event in (accepted(label, AT), rejected(label, AT)):
        value, header = encode(event)
        read = decode(Topic.LABELLED, value, (header,))

        assert read == event
        assert event.source == "madrid"
        assert "\n".join(filter(None, (event.title, event.description))) == text


def test_a_deletion_reaches_suspects(bench: Bench) -> None:
    """Nothing of the listing is left."""
    bench.feed(wrong(title=f"{wrong().title} secretword"), first=KNOWN)
    assert bench.database.suspects.count() == 1
    bench.learning.step([record(deletion(NUMBERS[0]), 0)])
    bench.restart()

    assert bench.database.suspects.all() == []
    assert b"secretword" not in (bench.folder / "trainer.sqlite").read_bytes()


def test_their_number_is_bounded(bench: Bench) -> None:
    """Of a flood the newest are kept."""
    bench.feed(wrong(), wrong(NUMBERS[1]), first=KNOWN)
    with bench.database.transaction():
        bench.database._sql.execute("UPDATE suspects SET number = ? WHERE number = 2", (KEPT,))
    bench.feed(wrong(NUMBERS[2]), first=KNOWN + 2)

    assert [each.label.listing_id for each in bench.database.suspects.all()] == [
        f"l-{number}" for number in NUMBERS[1:3]
    ]


def test_annotators_are_counted(bench: Bench) -> None:
    """Who contradicts others or the model, with a bounded number of names."""
    right = labelled(NUMBERS[1])
    bench.feed(
        wrong(annotator="ana"),
        msgspec.structs.replace(right, annotator="ana"),
        msgspec.structs.replace(right, annotator="bo", event_id="same"),
        msgspec.structs.replace(right, annotator="cy", label="Igloo", event_id="other"),
        *(msgspec.structs.replace(labelled(n), annotator=f"a{n}") for n in range(2_000, 2_060)),
        first=KNOWN,
    )

    def said(annotator: str, outcome: str) -> float | None:
        name = "roomstream_trainer_annotator_labels_total"
        labels = {"annotator": annotator, "outcome": outcome}
        return bench.metrics.registry.get_sample_value(name, labels)

    assert (said("ana", "agrees"), said("ana", "disagrees")) == (1, 1)
    assert (said("bo", "agrees"), said("cy", "disagrees")) == (1, 1)
    assert said("others", "agrees") == 13


def test_suspects_count_as_wrong_predictions(bench: Bench) -> None:
    """Accuracy on the stream is that of all labels, once each, also after a restart and a release."""
    name = "roomstream_trainer_prequential_accuracy_ratio"
    bench.feed(*map(wrong, NUMBERS), first=KNOWN)
    found = [bench.metrics.registry.get_sample_value(name)]
    bench.restart()
    found.append(bench.metrics.registry.get_sample_value(name))
    (suspect, *_) = bench.database.suspects.all()
    bench.feed(accepted(suspect.label, AT), first=KNOWN + 4)
    found.append(bench.metrics.registry.get_sample_value(name))
    bench.restart()
    found.append(bench.metrics.registry.get_sample_value(name))

    assert found[0] == found[1]
    assert found[2] == found[3]
    assert len(bench.database.history(1_000)) == KNOWN + 5


def test_confidence_is_remembered(bench: Bench) -> None:
    """A trainer that was restarted doubts as before."""
    bench.restart()
    bench.feed(wrong(), first=KNOWN)

    assert bench.database.suspects.count() == 1


def test_a_flood_of_wrong_labels_is_kept_out(bench: Bench) -> None:
    """Most of 300 wrong labels are held back; the learner knows the rooms as before."""
    for start in range(KNOWN, KNOWN + 192, 64):
        bench.feed(*map(labelled, range(start, start + 64)), first=start)
    fresh = range(5_000, 5_300)
    for start in fresh[::50]:
        bench.learning.step(records([wrong(n) for n in range(start, start + 50)], start))
    right = sum(said == truth for said, truth in _answers(bench, range(7_000, 7_200)))

    assert bench.count("suspect") > 200
    assert right > 180
    assert trials(bench)[0] == 0


def trials(bench: Bench) -> tuple[float | None, float | None]:
    """How many trials ended in learning and how many in holding back."""
    name = "roomstream_trainer_suspect_trials_total"
    value = bench.metrics.registry.get_sample_value
    return value(name, {"outcome": "released"}), value(name, {"outcome": "held_back"})


def moved(number: int) -> LabelledEvent:
    """A listing of a stream that moved: a word that says more than the others from now on."""
    title = f"{labelled(number).title} {'view ' * 6}"
    return wrong(number, title=title, label="Hotel room")


def test_a_stream_that_moved_is_learned(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    After 100 suspects that have a rule of their own they are learned, and what was right stays so.

    The learner is taken for surer of the new words than it is: else some of them get by, and teach it.
    """
    monkeypatch.setattr("trainer.doubt.CERTAIN", 0.3)
    bench.restart(suspect_confidence=0.3)
    numbers = [number for number in range(5_000, 5_400) if number % 4 != 3]
    bench.feed(moved(5_000), first=KNOWN)
    first = bench.database.suspects.all()
    for start in range(1, len(numbers), 20):
        batch = [moved(number) for number in numbers[start : start + 20]]
        bench.learning.step(records(batch, KNOWN + start))
        if (trials(bench)[0] or 0) > 0:
            break
    right = sum(said == truth for said, truth in _answers(bench, range(7_000, 7_200)))

    assert len(first) == 1
    assert trials(bench)[0] == 1
    assert bench.database.suspects.count() < 20
    assert bench.count("learned") > 60
    assert right > 150
    bench.restart()
    assert first[0].label.event_id in bench.database.known([first[0].label.event_id])


def _answers(bench: Bench, numbers: range) -> list[tuple[str, str]]:
    events = [labelled(n) for n in numbers]
    rows = [row for row in bench.live.encode([e.title for e in events]) if row is not None]
    learner = bench.learning.learner
    best = learner.logits(Examples.of(rows)).argmax(axis=1)
    return [(learner.classes[i], event.label) for i, event in zip(best, events, strict=True)]


def test_a_database_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Nothing is made in its place."""
    with pytest.raises(ConfigurationError, match="trainer's machine"):
        read_suspects(tmp_path / "none.sqlite")

    assert list(tmp_path.iterdir()) == []
