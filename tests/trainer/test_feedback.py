"""What people say of labels that were shown to them: it teaches, and nothing is judged by it."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from schemas.events import Feedback
from tests.releases import ROOM_TYPES
from tests.trainer.bench import Bench
from tests.trainer.labels import AT, deletion, labelled, learned_numbers, record
from trainer.intake import Label, read
from trainer.learners.base import Examples, Learner, refute
from trainer.learners.slda import StreamingLda
from trainer.learning import Encoded
from trainer.opinions import KEPT, MOST_WEIGHT

LABELS = 12
NUMBERS = learned_numbers(30, start=1_000)
HELD_OUT = learned_numbers(2, held_out=True, start=1_000)


def opinion(
    number: int,
    accepted: bool = True,
    label: str | None = None,
    propensity: float | None = None,
    event_id: str | None = None,
) -> Feedback:
    """A person accepts or rejects a label, the right one if no other is given."""
    truth = labelled(number)
    return Feedback(
        event_id=event_id or f"f-{number}",
        listing_id=truth.listing_id,
        title=truth.title,
        label=label or truth.label,
        accepted=accepted,
        labelled_at=AT,
        propensity=propensity,
    )


def wrong(number: int) -> str:
    """A label that a listing is not of."""
    return next(label for label in ROOM_TYPES if label != labelled(number).label)


def fed(folder: Path, learner: str = "slda", **options: object) -> Bench:
    """A trainer with a few labels; the state of its learner is what it was taught."""
    folder.mkdir(exist_ok=True)
    bench = Bench(folder, learner=learner, **options)
    bench.feed(*map(labelled, learned_numbers(LABELS)))
    return bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = fed(tmp_path)
    yield bench
    bench.close()


def seen(bench: Bench, *numbers: int) -> Examples:
    """Listings as the learner sees them."""
    rows = bench.live.encode([labelled(number).title for number in numbers])
    return Examples.of(row for row in rows if row is not None)


def taught(bench: Bench) -> StreamingLda:
    """The same learner, to teach by hand."""
    return StreamingLda.from_state(bench.learning.learner.state())


def probability(learner: Learner, examples: Examples, label: str) -> float:
    """What a learner gives a label, of one listing."""
    logits = learner.logits(examples)[0]
    shares = np.exp(logits - logits.max())
    return float(shares[learner.classes.index(label)] / shares.sum())


def test_an_accepted_label_is_learned(bench: Bench) -> None:
    """As a label of origin feedback, while labels alone say how common classes are."""
    number = NUMBERS[0]
    expected, before = taught(bench), bench.learning.learner.prior()
    expected.learn(seen(bench, number), [labelled(number).label])
    expected.expect(bench.database.learned())
    bench.feed(opinion(number), first=LABELS)
    counted = bench.metrics.registry.get_sample_value(
        "roomstream_trainer_labels_total", {"label": labelled(number).label, "origin": "feedback"}
    )

    assert expected.state() == bench.learning.learner.state()
    assert before == bench.learning.learner.prior()
    assert (bench.count("accepted"), counted) == (1, 1)


def test_nothing_is_judged_by_it(bench: Bench) -> None:
    """Prequential figures, drift, contests, gates, calibration, baseline and encoders do not see it."""
    observed: list[Encoded] = []
    bench.learning._observe_labels = lambda labels, said, encoding: observed.append(list(labels))

    def judges() -> list[object]:
        database = bench.database
        return [
            database.history(1_000),
            sorted(database.tally(), key=str),
            sorted(database.seen()),
            database.learned(),
            database.last_learned(),
            database.kept.items(held_out=False).ids,
            bench.held_out,
            bench.learning._replay.offered(),
            bench.learning._doubts._doubt.known,
            bench.metrics.registry.get_sample_value(
                "roomstream_trainer_prequential_accuracy_ratio", {"span": "start"}
            ),
        ]

    before = judges()
    yes = [opinion(number, propensity=0.5) for number in NUMBERS[:6]]
    no = [opinion(number, accepted=False, label=wrong(number)) for number in NUMBERS[6:12]]
    bench.feed(*yes, *no, first=LABELS)
    meanwhile = judges()
    bench.restart()

    assert before == meanwhile == judges()
    assert observed == [[]]
    assert bench.database.opinions.last_learned() == 12


def test_it_neither_confirms_nor_becomes_a_suspect(tmp_path: Path) -> None:
    """What is accepted against what the learner is sure of is passed over; a rejection ends a suspect."""
    bench = Bench(tmp_path, learner="slda", suspect_confidence=0.6)
    for start in range(0, 320, 64):
        bench.feed(*map(labelled, range(start, start + 64)), first=start)
    number = NUMBERS[0]
    suspect = labelled(number, label=wrong(number))
    bench.feed(suspect, first=320)
    before = bench.learning.learner.state()
    bench.feed(opinion(number, label=wrong(number)), first=321)
    again = read(record(labelled(number, label=wrong(number), event_id="again"), 0), "")

    assert [each.label.event_id for each in bench.database.suspects.all()] == [suspect.event_id]
    assert before == bench.learning.learner.state()
    assert (bench.count("passed_over"), bench.count("accepted")) == (1, 0)
    assert isinstance(again, Label)
    bench.feed(opinion(number, False, wrong(number), event_id="no"), first=322)
    assert bench.database.suspects.all() == []
    assert not bench.database.confirmed(again)
    assert bench.count("rejected") == 1
    bench.close()


def test_of_the_hold_out_nothing_is_learned(bench: Bench) -> None:
    """Whether the listing was labelled already or is only going to be; it does judge then."""
    known, unknown = HELD_OUT
    bench.feed(labelled(known), first=LABELS)
    before = bench.learning.learner.state()
    bench.feed(
        opinion(known),
        opinion(unknown),
        *(opinion(n, False, wrong(n), event_id=f"no-{n}") for n in HELD_OUT),
        labelled(unknown),
        first=LABELS + 1,
    )

    assert before == bench.learning.learner.state()
    assert {f"l-{number}" for number in HELD_OUT} == set(bench.held_out)
    assert bench.count("passed_over") == 4


@pytest.mark.parametrize("accepted", [True, False])
def test_what_it_taught_can_judge_nobody(bench: Bench, accepted: bool) -> None:
    """A listing that was learned from feedback is not held out later, whatever the setting says."""
    label = None if accepted else wrong(NUMBERS[0])
    bench.feed(opinion(NUMBERS[0], accepted, label), first=LABELS)
    bench.restart(holdout_share=0.999)
    bench.feed(labelled(NUMBERS[0]), first=LABELS + 1)

    assert bench.held_out == []
    assert f"l-{NUMBERS[0]}" in bench.kept
    assert bench.database.held_out(f"l-{NUMBERS[0]}") is False


@pytest.mark.parametrize("learner", ["slda", "mixture"])
def test_a_rejected_label_becomes_less_likely(tmp_path: Path, learner: str) -> None:
    """For learners that follow -log(1 - p), and for those that learn the other classes instead."""
    bench = fed(tmp_path, learner)
    number = NUMBERS[0]
    label = bench.learning.learner.classes[
        int(bench.learning.learner.logits(seen(bench, number))[0].argmax())
    ]
    kind = type(bench.learning.learner)
    expected = kind.from_state(bench.learning.learner.state())
    refute(expected, seen(bench, number), [label])
    expected.expect(bench.database.learned())
    before = probability(bench.learning.learner, seen(bench, number), label)
    bench.feed(opinion(number, False, label), first=LABELS)

    assert expected.state() == bench.learning.learner.state()
    assert probability(bench.learning.learner, seen(bench, number), label) < before
    assert bench.count("rejected") == 1
    bench.close()


def test_an_unknown_class_is_passed_over(bench: Bench) -> None:
    """Feedback makes no class: no release could have shown it."""
    before = bench.learning.learner.state()
    bench.feed(
        opinion(NUMBERS[0], label="Igloo"), opinion(NUMBERS[1], False, "Igloo"), first=LABELS
    )

    assert before == bench.learning.learner.state()
    assert bench.count("passed_over") == 2
    assert bench.dead == []


def test_the_same_event_counts_once(bench: Bench) -> None:
    """In one batch, in another, and after a restart, also as a label."""
    yes, no = opinion(NUMBERS[0]), opinion(NUMBERS[1], False, wrong(NUMBERS[1]))
    bench.feed(yes, yes, no, no, first=LABELS)
    before = bench.learning.learner.state()
    bench.feed(yes, no, labelled(NUMBERS[2], event_id=yes.event_id), first=LABELS + 4)
    repeated = bench.count("repeated")
    bench.restart()
    bench.feed(yes, no, first=LABELS + 7)

    assert before == bench.learning.learner.state()
    assert (repeated, bench.count("repeated")) == (5, 2)


def test_all_of_a_batch_or_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trainer that ends in the middle of a batch reads it again, and has learned it once."""
    batch = [
        opinion(NUMBERS[0]),
        opinion(NUMBERS[1], False, wrong(NUMBERS[1])),
        labelled(NUMBERS[2]),
    ]
    before = bench.learning.learner.state()
    monkeypatch.setattr(bench.learning, "_advance", _killed)
    with pytest.raises(RuntimeError, match="killed"):
        bench.feed(*batch, first=LABELS)
    bench.restart()
    after_crash = bench.learning.learner.state()
    bench.feed(*batch, first=LABELS)
    learned = bench.learning.learner.state()
    bench.restart()

    assert before == after_crash
    assert learned == bench.learning.learner.state() != before
    assert bench.database.opinions.last_learned() == 2
    assert bench.database.ranges()[0].next == LABELS + 3


def _killed(_: object) -> None:
    raise RuntimeError("killed")


@pytest.mark.parametrize("learner", ["slda", "mixture"])
def test_a_deleted_listing_is_forgotten(
    tmp_path: Path, learner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Soon the learner is one that never heard of it, and releases say until when they are not."""
    monkeypatch.setattr("trainer.relearning.FORGET_WITHIN_LABELS", 4)
    gone = NUMBERS[:2]
    left = [opinion(number, False, wrong(number)) for number in NUMBERS[2:6]]
    with_them, without = fed(tmp_path / "with", learner), fed(tmp_path / "without", learner)
    secret = msgspec.structs.replace(opinion(gone[0]), title="secretword")
    with_them.feed(secret, opinion(gone[1], False, wrong(gone[1])), first=LABELS)
    with_them.learning.step([record(deletion(number), place) for place, number in enumerate(gone)])
    with_them.restart()
    encoding = with_them.live.encoding
    (inside,) = with_them.database.taught.deleted_inside(encoding)
    for place, each in enumerate(left):
        for bench in (with_them, without):
            bench.feed(each, first=LABELS + 2 + place)
    with without.database.transaction():
        without.learning._relearn("to compare")
    (since,) = with_them.database.taught.deleted_since(encoding)

    assert inside.offsets == since.offsets == [LABELS, LABELS + 1]
    assert with_them.database.taught.deleted_inside(encoding) == []
    assert same(with_them.learning.learner, without.learning.learner, seen(without, *NUMBERS))
    with_them.close()
    assert b"secretword" not in (with_them.folder / "trainer.sqlite").read_bytes()
    without.close()


def same(ours: Learner, theirs: Learner, examples: Examples) -> bool:
    """Whether two learners say the same."""
    return ours.classes == theirs.classes and np.allclose(
        ours.logits(examples), theirs.logits(examples), atol=1e-6
    )


def test_what_was_said_before_the_deletion_is_never_learned(bench: Bench) -> None:
    """In the same batch, or whenever it is read."""
    before = bench.learning.learner.state()
    bench.learning.step([record(opinion(NUMBERS[0]), LABELS), record(deletion(NUMBERS[0]), 0)])
    bench.feed(opinion(NUMBERS[0], False, event_id="later"), first=LABELS + 1)

    assert before == bench.learning.learner.state()
    assert bench.count("forgotten") == 2


def test_seldom_shown_labels_weigh_more(bench: Bench) -> None:
    """An accepted one counts as 1 / propensity labels, up to a bound."""
    expected = taught(bench)
    shown = dict(zip(NUMBERS[:3], (0.5, 0.001, None), strict=True))
    labels = [labelled(number).label for number in shown]
    expected.learn(seen(bench, *shown), labels, np.array([2, MOST_WEIGHT, 1]))
    expected.expect(bench.database.learned())
    bench.feed(*(opinion(n, propensity=chance) for n, chance in shown.items()), first=LABELS)

    assert expected.state() == bench.learning.learner.state()


def test_a_learner_that_learns_anew_learns_it_again(bench: Bench) -> None:
    """With another encoder, as with the same: from the texts, as if the labels had come first."""
    yes, no = NUMBERS[:3], NUMBERS[3:6]
    bench.feed(*map(opinion, yes), *(opinion(n, False, wrong(n)) for n in no), first=LABELS)
    bench.live = bench.release(seed=1)
    bench.restart()
    expected = StreamingLda()
    for label in bench.live.manifest.labels:
        expected.add_class(label)
    kept = bench.database.kept.items(held_out=False)
    expected.learn(Examples(kept.features, [[]] * len(kept.ids)), kept.labels)
    expected.learn(seen(bench, *yes), [labelled(n).label for n in yes])
    refute(expected, seen(bench, *no), [wrong(n) for n in no])
    expected.expect(bench.database.learned())

    assert same(expected, bench.learning.learner, seen(bench, *NUMBERS))


def test_it_teaches_before_there_is_a_label(tmp_path: Path) -> None:
    """Then it also says how common classes are."""
    bench = Bench(tmp_path, learner="slda")
    bench.feed(*map(opinion, NUMBERS))
    shares = bench.learning.learner.prior()
    number = learned_numbers(1)[0]
    bench.feed(labelled(number), first=len(NUMBERS))
    now = dict(zip(bench.learning.learner.classes, bench.learning.learner.prior(), strict=True))

    assert max(shares) < 1
    assert sum(shares) == pytest.approx(1)
    assert now[labelled(number).label] > 0
    bench.close()


def test_the_texts_of_the_newest_are_kept(bench: Bench) -> None:
    """To be learned anew; what is older stays known by its event."""
    bench.feed(opinion(NUMBERS[0]), opinion(NUMBERS[1]), first=LABELS)
    with bench.database.transaction():
        bench.database._sql.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            "INSERT INTO opinions SELECT NULL, 'x' || i, 'x', 'y', 1, NULL, 't', 0, i, 1, 'z' FROM n",
            (KEPT,),
        )
    bench.feed(opinion(NUMBERS[2]), first=LABELS + 2)
    lessons = bench.database.opinions.lessons()

    assert len(lessons) == KEPT
    assert (lessons[0].text, lessons[-1].text) == ("z", opinion(NUMBERS[2]).title)
    assert bench.database.known([f"f-{NUMBERS[0]}"]) == {f"f-{NUMBERS[0]}"}
