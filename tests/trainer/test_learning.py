"""Learning a mini-batch with a real encoder and a real file: all of it or nothing."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.errors import TryAgain
from tests.releases import KABOOM, ROOM_TYPES
from tests.trainer.bench import Bench, slda, uninterrupted
from tests.trainer.labels import (
    AT,
    deletion,
    labelled,
    learned_numbers,
    objection,
    record,
    records,
)
from trainer.learners.base import Examples
from trainer.learning import Learning
from trainer.metrics import TrainerMetrics

WINDOW = {"span": "window"}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def test_labels_are_learned_and_kept_with_their_offsets(bench: Bench) -> None:
    """After a mini-batch learner, replay buffer and offsets stand together."""
    numbers = learned_numbers(40)
    bench.feed(*(labelled(number) for number in numbers), first=7)
    (handled,) = bench.database.ranges()

    assert {f"l-{number}" for number in numbers} == set(bench.kept)
    assert (handled.topic, handled.partition, handled.first, handled.next) == ("labelled", 0, 7, 47)
    assert uninterrupted(bench, numbers).head() == slda(bench).head()
    assert bench.count("learned") == 40


def test_the_weights_of_the_mixture_are_shown(bench: Bench) -> None:
    """Each member's, and together they are the whole."""
    bench.feed(*(labelled(number) for number in learned_numbers(40)))
    weights = [
        bench.metrics.registry.get_sample_value("roomstream_trainer_mixture_weight", {"member": m})
        for m in ("ngram", "ngram-replay", "slda")
    ]

    assert sum(weight or 0 for weight in weights) == pytest.approx(1)


def test_heldout_listings_are_never_learned(bench: Bench) -> None:
    """They are kept to judge by; the learner has not moved, however often they are labelled."""
    numbers = learned_numbers(5, held_out=True)
    before = bench.learning.learner.state()
    bench.feed(*(labelled(number) for number in numbers))
    bench.feed(*(labelled(number, event_id=f"again-{number}") for number in numbers), first=5)

    assert {f"l-{number}" for number in numbers} == set(bench.held_out)
    assert bench.kept == {}
    assert bench.database.last_learned() == 0
    assert before == bench.learning.learner.state()
    assert bench.count("held_out") == 10


def test_another_share_moves_no_listing_that_was_learned(bench: Bench) -> None:
    """A listing that was learned once can judge nobody, whatever the setting says later."""
    numbers = learned_numbers(10)
    bench.feed(*(labelled(number) for number in numbers))
    bench.restart(holdout_share=0.999)
    bench.feed(*(labelled(number, event_id=f"again-{number}") for number in numbers), first=10)

    assert bench.held_out == []
    assert len(bench.kept) == 10


def test_an_event_is_learned_once(bench: Bench) -> None:
    """Sent twice, in one batch, in another, or after a restart: the first one counts."""
    (number,) = learned_numbers(1)
    twice = [labelled(number), labelled(number, label="Hotel room", event_id=f"e-{number}")]
    bench.feed(*twice)
    state = bench.learning.learner.state()
    bench.feed(*twice, first=2)
    bench.restart()
    bench.feed(*twice, first=4)

    assert bench.kept == {f"l-{number}": labelled(number).label}
    assert state == bench.learning.learner.state()
    assert bench.count("repeated") == 2
    assert bench.database.ranges()[0].next == 6


def test_a_failed_delivery_learns_nothing(bench: Bench) -> None:
    """A batch whose dead letters the broker does not hold comes again whole."""
    (number,) = learned_numbers(1)

    def fail(_: object) -> None:
        raise TryAgain("no broker")

    broken = Learning(bench.database, bench.settings, "", bench.live, fail, TrainerMetrics())
    with pytest.raises(TryAgain):
        broken.step([record(labelled(number), 0)])

    assert (bench.kept, bench.database.ranges()) == ({}, [])


def test_a_new_label_becomes_a_class(bench: Bench) -> None:
    """Under `admit` the learner takes it up at once, and names it."""
    igloos = [labelled(n, label="Igloo", title="iglu con balcon") for n in learned_numbers(3)]
    bench.feed(*igloos)
    (row,) = bench.live.encode(["iglu con balcon"])
    assert row is not None
    best = bench.learning.learner.logits(Examples.of([row])).argmax()

    assert [*ROOM_TYPES, "Igloo"] == bench.learning.learner.classes
    assert bench.learning.learner.classes[best] == "Igloo"


def test_a_refused_label_is_a_dead_letter(tmp_path: Path) -> None:
    """Under `refuse` its event is sent back with the reason, the others are learned."""
    bench = Bench(tmp_path, unknown_labels="refuse")
    one, other = learned_numbers(2)
    bench.feed(labelled(one, label="Igloo"), labelled(other))
    (letter,) = bench.dead
    bench.close()

    assert (letter.stage, letter.error) == ("label", "unknown_label")
    assert "TRAINER_UNKNOWN_LABELS" in letter.message
    assert letter.original.value == record(labelled(one, label="Igloo"), 0).value
    assert list(ROOM_TYPES) == bench.learning.learner.classes


def test_the_number_of_classes_is_bounded(tmp_path: Path) -> None:
    """The sixth class of at most five becomes a dead letter, also within one batch."""
    bench = Bench(tmp_path, max_classes=5)
    numbers = learned_numbers(4)
    names = ("Igloo", "Tent", "Igloo", "Private room")
    bench.feed(*(labelled(n, label=name) for n, name in zip(numbers, names, strict=True)))
    (letter,) = bench.dead
    bench.close()

    assert (letter.stage, letter.error) == ("label", "too_many_classes")
    assert "TRAINER_MAX_CLASSES" in letter.message
    assert [*ROOM_TYPES, "Igloo"] == bench.learning.learner.classes
    assert bench.count("dead") == 1


def test_a_text_that_breaks_the_encoder_is_alone(bench: Bench) -> None:
    """It becomes a dead letter; the learner stays a number."""
    numbers = learned_numbers(9)
    bench.feed(*(labelled(n, title=KABOOM if n == numbers[4] else None) for n in numbers))
    (letter,) = bench.dead

    assert (letter.stage, letter.error, letter.offset) == ("encode", "inference", 4)
    assert len(bench.kept) == 8
    assert np.isfinite(
        bench.learning.learner.logits(Examples(np.ones((1, 8), np.float32), [[]]))
    ).all()


@pytest.mark.parametrize(
    "title", ["a\x00b private", "👩‍👩‍👧", "\u202eprivate", "ñ" * 2_000, "'; DROP TABLE labels; --"]
)
def test_odd_texts_are_kept_as_they_are(bench: Bench, title: str) -> None:
    """Whatever a producer may send is learned, and encoded again from the very same text."""
    (number,) = learned_numbers(1)
    bench.feed(labelled(number, title=title))
    bench.restart()

    assert bench.database.kept.items(held_out=False).texts == [title]


def test_an_objection_takes_a_label_back(bench: Bench) -> None:
    """A listing leaves the replay buffer and the hold-out if it is kept under that label."""
    (number,), (judging,) = learned_numbers(1), learned_numbers(1, held_out=True)
    both = (labelled(number), labelled(judging))
    bench.feed(*both)
    bench.feed(objection(number, "Igloo"), objection(judging, "Igloo"), first=2)
    untouched = (list(bench.kept), bench.held_out)
    bench.feed(*(objection(n, labelled(n).label) for n in (number, judging)), first=4)

    assert ([f"l-{number}"], [f"l-{judging}"]) == untouched
    assert (bench.kept, bench.held_out) == ({}, [])
    assert (bench.count("rejected"), bench.count("passed_over")) == (1, 3)


@pytest.mark.parametrize("together", [True, False])
def test_messages_count_in_their_order(bench: Bench, together: bool) -> None:
    """Objected to, then labelled so by somebody else: it stays, in one batch or in two."""
    (number,) = learned_numbers(1)
    label = labelled(number).label
    bench.feed(labelled(number))
    events = [objection(number, label), labelled(number, event_id="later")]
    if together:
        bench.feed(*events, first=1)
    else:
        for place, event in enumerate(events):
            bench.feed(event, first=1 + place)

    assert bench.kept == {f"l-{number}": label}


def test_a_deletion_reaches_everything(bench: Bench) -> None:
    """Replay buffer, hold-out and labels forget it; a label in the same batch is not learned."""
    (number, other), (judging,) = learned_numbers(2), learned_numbers(1, held_out=True)
    bench.feed(labelled(number), labelled(judging))
    bench.learning.step(
        [
            record(deletion(other), 0),
            record(deletion(number), 1),
            record(deletion(judging), 2),
            record(labelled(other), 2),
        ]
    )
    bench.restart()

    assert (bench.kept, bench.held_out) == ({}, [])
    assert [bench.database.held_out(f"l-{n}") for n in (number, other, judging)] == [None] * 3


def test_a_learner_whose_every_label_was_deleted_begins_anew(bench: Bench) -> None:
    """Nothing is left to predict from, also after a restart."""
    numbers = learned_numbers(20)
    bench.feed(*(labelled(n) for n in numbers[:19]))
    bench.learning.step([record(deletion(n), place) for place, n in enumerate(numbers[:19])])
    bench.restart()
    bench.feed(labelled(numbers[19]), first=19)

    assert [each.predicted for each in bench.database.history(1)] == [None]


@pytest.mark.parametrize("deleted", ["before", "together", "after"])
def test_a_deleted_listing_was_never_learned(tmp_path: Path, deleted: str) -> None:
    """Whether its labels are read before the deletion, with it or later, in the buffer or not."""
    bench = Bench(tmp_path, replay_size=8, learner="slda")
    numbers = learned_numbers(40)
    gone, left = numbers[::3], [n for n in numbers if n not in numbers[::3]]
    again = [labelled(n, label="Hotel room", event_id=f"again-{n}") for n in gone[:4]]
    labels = [*map(labelled, numbers), *again]
    deletions = [record(deletion(n), place) for place, n in enumerate(gone)]
    if deleted == "together":
        bench.learning.step([*records(labels), *deletions])
    else:
        batches = [records(labels), deletions]
        for batch in reversed(batches) if deleted == "before" else batches:
            bench.learning.step(batch)
            bench.restart()
    expected = uninterrupted(bench, left)
    rows = bench.live.encode([labelled(n).title for n in range(60)])
    probe = Examples.of(row for row in rows if row is not None)
    learner = bench.learning.learner
    for restarted in (False, True):
        if restarted:
            bench.restart()
            learner = bench.learning.learner
        np.testing.assert_allclose(
            learner.logits(probe), expected.logits(probe), rtol=1e-6, atol=1e-6
        )
        assert expected.prior() == learner.prior()
    assert not {f"l-{n}" for n in gone} & set(bench.kept)
    assert bench.database.taught.of(f"l-{gone[0]}").seqs == []
    bench.close()


def test_labels_that_are_read_again_bring_nothing_back(bench: Bench) -> None:
    """As by a new database, or after a dead letter was sent again: they are counted, and that is all."""
    (number,), (judging,) = learned_numbers(1), learned_numbers(1, held_out=True)
    bench.learning.step([record(deletion(n), place) for place, n in enumerate((number, judging))])
    bench.restart()
    bench.feed(labelled(number), labelled(judging), labelled(number, label="Igloo", event_id="x"))

    assert (bench.kept, bench.held_out) == ({}, [])
    assert bench.database.last_learned() == 0
    assert list(ROOM_TYPES) == bench.learning.learner.classes
    assert [bench.count(outcome) for outcome in ("forgotten", "learned", "dead")] == [3, 0, 0]
    assert bench.database.ranges()[-1].next == 3


@pytest.mark.parametrize("together", [True, False])
def test_a_listing_that_is_published_once_more_is_learned(bench: Bench, together: bool) -> None:
    """A label that is given after the deletion counts; an older deletion that comes late takes it."""
    (number,) = learned_numbers(1)
    again = labelled(number, event_id="again", at=AT + timedelta(microseconds=1))
    batch = [record(deletion(number), 0), *records([labelled(number), again])]
    if together:
        bench.learning.step(batch)
    else:
        for each in batch:
            bench.learning.step([each])
    learned = (bench.kept, bench.count("learned"), bench.count("forgotten"))
    bench.learning.step([record(deletion(number), 1)])

    assert learned == ({f"l-{number}": again.label}, 1, 1)
    assert bench.kept == {}


def test_the_last_deletion_of_a_listing_counts(bench: Bench) -> None:
    """Deletions may come out of order; the file has no listing's name, only a digest."""
    (number,) = learned_numbers(1)
    later = msgspec.structs.replace(deletion(number), deleted_at=AT + timedelta(days=2))
    bench.learning.step([record(later, 0)])
    bench.learning.step([record(deletion(number), 1)])
    bench.feed(labelled(number, at=AT + timedelta(days=1)))
    bench.close()

    assert bench.count("forgotten") == 1
    assert f"l-{number}".encode() not in (bench.folder / "trainer.sqlite").read_bytes()


def test_after_another_encoder_only_kept_listings_are_taken_back(tmp_path: Path) -> None:
    """The learner knows the replay buffer then; a deletion of another listing changes nothing in it."""
    bench = Bench(tmp_path, replay_size=8, learner="slda")
    numbers = learned_numbers(30)
    bench.feed(*map(labelled, numbers))
    bench.live = bench.release(seed=1)
    bench.learning.follow(bench.live)
    kept = int(next(iter(bench.kept)).removeprefix("l-"))
    other = next(n for n in numbers if f"l-{n}" not in bench.kept)
    before = bench.learning.learner.head()
    bench.learning.step([record(deletion(other), 0)])
    untouched = bench.learning.learner.head()
    bench.learning.step([record(deletion(kept), 1)])

    assert before == untouched != bench.learning.learner.head()
    assert [part.offsets for part in bench.database.taught.deleted_since(bench.live.encoding)] == [
        sorted(numbers.index(n) for n in (kept, other))
    ]
    bench.close()


def test_nothing_is_predicted_before_the_first_label(bench: Bench) -> None:
    """Prequential accuracy begins with a wrong one, not with a lucky guess."""
    numbers = learned_numbers(2)
    bench.feed(labelled(numbers[0]))
    bench.feed(labelled(numbers[1]), first=1)

    predicted = [each.predicted for each in bench.database.history(2)]
    assert predicted == [None, labelled(numbers[0]).label]


@given(cuts=st.sets(st.integers(1, 59)), stops=st.sets(st.integers(1, 59), max_size=3))
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
def test_stops_and_cuts_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, cuts: set[int], stops: set[int]
) -> None:
    """However the stream was cut and the trainer stopped: the same buffer, the same learner."""
    options = {"replay_size": 12, "learner": "slda"}  # that does not depend on the cuts
    steady = Bench(tmp_path_factory.mktemp("steady"), **options)
    stopped = Bench(tmp_path_factory.mktemp("stopped"), **options)
    events = [labelled(number) for number in range(60)]
    for start in range(0, 60, 5):
        steady.feed(*events[start : start + 5], first=start)
    edges = [0, *sorted(cuts | stops), 60]
    for start, end in pairwise(edges):
        stopped.feed(*events[start:end], first=start)
        if end in stops:
            stopped.restart()
    probe = Examples.of(
        row for row in steady.live.encode([e.title for e in events]) if row is not None
    )

    assert steady.database.kept.listings() == stopped.database.kept.listings()
    assert steady.held_out == stopped.held_out
    assert steady.database.ranges() == stopped.database.ranges()
    np.testing.assert_allclose(
        steady.learning.learner.logits(probe), stopped.learning.learner.logits(probe), rtol=1e-5
    )
    steady.close()
    stopped.close()


def test_another_encoder_encodes_and_fits_again(bench: Bench) -> None:
    """Kept listings get new features, the learner is theirs; who watches hears that it gets on."""
    heard: list[int] = []
    bench.learning._gets_on = lambda: heard.append(len(heard))
    numbers = learned_numbers(30)
    bench.feed(*(labelled(n) for n in numbers), *(labelled(n) for n in learned_numbers(3, True)))
    prior = bench.learning.learner.prior()
    bench.live = bench.release(seed=1)
    bench.learning.follow(bench.live)
    assert heard == [0]
    for held_out in (False, True):
        items = bench.database.kept.items(held_out)
        expected = [row.features for row in bench.live.encode(items.texts) if row is not None]
        np.testing.assert_allclose(items.features, expected, rtol=1e-6)

    expected_learner = uninterrupted(bench, numbers)
    items = bench.database.kept.items(False)
    rows = Examples(items.features, bench.live.tokenise(items.texts))
    np.testing.assert_allclose(
        slda(bench).logits(rows), expected_learner.logits(rows), rtol=1e-6, atol=1e-6
    )
    assert prior == bench.learning.learner.prior()
    state = bench.learning.learner.state()
    bench.restart()
    assert state == bench.learning.learner.state()


def test_after_a_burst_of_a_class_it_learns_anew_without_what_was_deleted(bench: Bench) -> None:
    """The n-grams are those of the buffer in random order, and survive a restart; SLDA stays."""
    numbers = learned_numbers(160)
    events = [msgspec.structs.replace(labelled(n), label="Entire home/apt") for n in numbers[:100]]
    bench.feed(*events)
    bench.learning.step([record(deletion(numbers[0]), 0)])
    assert bench.database.taught.deleted_inside(bench.live.encoding)
    late = [msgspec.structs.replace(labelled(n), label="Houseboat") for n in numbers[100:]]
    for place, event in enumerate(late[:49]):
        bench.feed(event, first=100 + place)
    before = bench.learning.learner
    bench.feed(late[49], first=149)
    items = bench.database.kept.items(False)
    examples = Examples(items.features, bench.live.tokenise(items.texts))

    assert before is not bench.learning.learner
    assert bench.database.taught.deleted_inside(bench.live.encoding) == []
    expected = before.relearned(examples, items.labels)
    assert expected.state() == bench.learning.learner.state()
    bench.restart()
    assert expected.state() == bench.learning.learner.state()
    relearned = bench.learning.learner
    for place, event in enumerate(late[50:]):
        bench.feed(event, first=150 + place)
    assert bench.learning.learner is relearned  # it is not yet twice as common


def test_n_grams_lose_what_was_deleted_on_a_steady_stream(tmp_path: Path) -> None:
    """A thousand labels after the first deletion; the lineage says so, also across a restart."""
    bench = Bench(tmp_path, replay_size=50)
    numbers = learned_numbers(1_400)
    bench.feed(*map(labelled, numbers[:400]))
    bench.learning.step([record(deletion(numbers[0]), 0)])
    before = bench.learning.learner
    bench.feed(*map(labelled, numbers[400:1_000]), first=400)
    bench.learning.step([record(deletion(numbers[1]), 1)])
    bench.feed(*map(labelled, numbers[1_000:-1]), first=1_000)
    same = bench.learning.learner is before
    bench.restart()
    inside = bench.database.taught.deleted_inside(bench.live.encoding)
    bench.feed(labelled(numbers[-1]), first=1_399)
    left = bench.database.taught.deleted_inside(bench.live.encoding)
    since = bench.database.taught.deleted_since(bench.live.encoding)
    bench.close()

    assert same
    assert [part.offsets for part in inside] == [part.offsets for part in since] == [[0, 1]]
    assert left == []


def test_a_listing_that_the_new_encoder_cannot_read_goes(bench: Bench) -> None:
    """It leaves buffer and hold-out; the others stay."""
    number, other = learned_numbers(2)
    bench.feed(labelled(number), labelled(other))
    with bench.database.transaction():
        bench.database._sql.execute(
            "UPDATE items SET text = ? WHERE listing_id = ?", (KABOOM, f"l-{other}")
        )
    bench.learning.follow(bench.release(seed=2))

    assert list(bench.kept) == [f"l-{number}"]


def test_a_head_with_other_classes_keeps_what_was_learned(bench: Bench) -> None:
    """Somebody promotes a release with one class more on the same encoder."""
    numbers = learned_numbers(20)
    bench.feed(*(labelled(n) for n in numbers))
    bench.learning.follow(bench.release(labels=[*ROOM_TYPES, "Igloo"]))

    assert [*ROOM_TYPES, "Igloo"] == bench.learning.learner.classes
    assert any(bench.learning.learner.prior())


def test_a_smaller_replay_size_holds_from_the_start(bench: Bench) -> None:
    """Listings beyond it leave the file."""
    bench.feed(*(labelled(n) for n in learned_numbers(40)))
    bench.restart(replay_size=8)

    assert len(bench.kept) == 8
    assert len(set(bench.kept.values())) == 4


def test_the_gauges_show_what_is_kept(bench: Bench) -> None:
    """Also right after a restart."""
    bench.feed(*(labelled(n) for n in range(60)))
    value = bench.metrics.registry.get_sample_value
    before = {
        "accuracy": value("roomstream_trainer_prequential_accuracy_ratio", WINDOW),
        "holdout": value("roomstream_trainer_holdout_items"),
        "replay": value("roomstream_trainer_replay_items", {"label": "Hotel room"}),
        "recall": value("roomstream_trainer_class_recall_ratio", {"label": "Hotel room"} | WINDOW),
    }
    bench.restart()
    value = bench.metrics.registry.get_sample_value

    assert before == {
        "accuracy": value("roomstream_trainer_prequential_accuracy_ratio", WINDOW),
        "holdout": value("roomstream_trainer_holdout_items"),
        "replay": value("roomstream_trainer_replay_items", {"label": "Hotel room"}),
        "recall": value("roomstream_trainer_class_recall_ratio", {"label": "Hotel room"} | WINDOW),
    }
    assert before["holdout"] == len(bench.held_out)


def test_the_figures_of_the_stream_go_on_after_a_restart(bench: Bench) -> None:
    """Accuracy, recall, best and forgetting, by class and by city, are those of before."""
    for start in range(0, 120, 40):
        numbers = range(start, start + 40)
        city = "madrid" if start < 80 else "dublin"
        bench.feed(*(labelled(number, source=city) for number in numbers), first=start)
    before = _told(bench)
    bench.restart()

    assert _told(bench) == before
    assert {labels["domain"] for name, labels, _ in before if "domain" in labels} == {
        "madrid",
        "dublin",
    }
    names = {name.removeprefix("roomstream_trainer_") for name, _, _ in before}
    assert {"class_forgetting_ratio", "domain_best_accuracy_ratio"} <= names


def test_wrong_labels_show_as_forgetting(bench: Bench) -> None:
    """A class that was known for 60 labels and is then called another one."""
    bench.feed(*(labelled(number) for number in range(240)))
    bench.feed(*(labelled(number) for number in range(240, 480)), first=240)
    for start in range(480, 960, 60):
        numbers = range(start, start + 60)
        bench.feed(*(labelled(number, label="Hotel room") for number in numbers), first=start)
    value = bench.metrics.registry.get_sample_value
    label = {"label": "Hotel room"}
    best = value("roomstream_trainer_class_best_recall_ratio", label) or 0
    lost = value("roomstream_trainer_class_forgetting_ratio", label) or 0

    assert best > 0
    assert best - lost == value("roomstream_trainer_class_recall_ratio", label | WINDOW)


def _told(bench: Bench) -> list[tuple[str, dict[str, str], str]]:
    """What Prometheus is told about predictions."""
    return [
        (sample.name, sample.labels, str(sample.value))  # NaN is not equal to itself
        for metric in bench.metrics.registry.collect()
        for sample in metric.samples
        if metric.name.startswith(
            tuple(f"roomstream_trainer_{what}_" for what in ("prequential", "class", "domain"))
        )
    ]
