"""A candidate, from learner to announcement or refusal, against a real broker and a real store."""

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from artefacts.classifier import Classifier
from artefacts.manifest import GateResult, LabelOffsets, decode_manifest
from artefacts.store import Store
from roomstream.brokers import Broker
from roomstream.lineage import deleted_later
from roomstream.live import live_announcement
from runtime.settings import KafkaSettings, SharedSettings, load
from runtime.topics import create_topics
from schemas.errors import RoomstreamError
from schemas.events import LabelledEvent, ReleaseAnnouncement
from tests.releases import ROOM_TYPES, tiny_release
from tests.trainer.labels import deletion, labelled, learned_numbers, record, records
from trainer.contest import Contest
from trainer.database import Database
from trainer.gate import GATES
from trainer.heads import linear_head
from trainer.kept import Items
from trainer.learners import LEARNERS
from trainer.learners.base import Examples, Learner, teach
from trainer.learners.slda import StreamingLda
from trainer.learning import Learning
from trainer.live import LiveRelease, Releases
from trainer.metrics import TrainerMetrics
from trainer.publishing import Publishing
from trainer.settings import TrainerSettings


class Desk:
    """Learning and publishing without the loop around them."""

    def __init__(self, kafka: KafkaSettings, prefix: str, folder: Path) -> None:
        self.kafka = kafka
        self.shared = SharedSettings(
            store=f"file://{folder / 'store'}", cache=folder / "cache", topic_prefix=prefix
        )
        self.settings = TrainerSettings(release_interval_seconds=0, first_labels_per_class=1)
        self.store = Store(self.shared.store)
        self.releases = Releases(self.shared.cache, threads=1)
        self.metrics = TrainerMetrics()
        self.database = Database(folder / "trainer.sqlite")
        self.live = self.base(self.shared.store)
        self.learning = Learning(
            self.database, self.settings, "", self.live, lambda _: None, self.metrics
        )
        self.publishing = self.desk()
        self._offset = 0

    def choose(self, learner: str) -> None:
        """Begin again with another learner."""
        self.settings = self.settings.model_copy(update={"learner": learner})
        self.learning = Learning(
            self.database, self.settings, "", self.live, lambda _: None, self.metrics
        )
        self.publishing = self.desk()

    def base(self, store: str, scale: float = 0, learner: str = "untrained") -> LiveRelease:
        """A release of some store, loaded."""
        manifest = tiny_release(Store(store), scale=scale)
        manifest = msgspec.structs.replace(manifest, learner=learner)
        announcement = ReleaseAnnouncement(
            channel="live",
            release=manifest.release,
            manifest_digest=Store(store).publish(manifest),
            store=store,
            why="a test",
            announced_at=datetime.now(UTC),
        )
        return self.releases.load(announcement)

    def serve(self, scale: float) -> None:
        """Begin with a head that was trained elsewhere, as an imported model's."""
        self.live = self.base(self.shared.store, scale, learner="imported")
        self.learning.follow(self.live)

    def desk(self) -> Publishing:
        """Publishing as after a start."""
        return Publishing(
            self.kafka,
            self.shared,
            self.settings,
            self.database,
            self.releases,
            self.metrics,
            epoch=1,
        )

    def learn(self, *numbers: int, label: str | None = None) -> None:
        """Take in labels."""
        self.learning.step(records([labelled(n, label=label) for n in numbers], self._offset))
        self._offset += len(numbers)

    def publish(self) -> LiveRelease:
        """Make and judge a candidate."""
        self.live = self.publishing.run(self.learning.learner, self.live)
        return self.live


@pytest.fixture
def desk(embedded_broker: Broker, topic_prefix: str, tmp_path: Path) -> Iterator[Desk]:
    kafka = load(KafkaSettings, bootstrap_servers=embedded_broker.bootstrap_servers)
    create_topics(kafka, topic_prefix, partitions=1, replication_factor=1)
    desk = Desk(kafka, topic_prefix, tmp_path)
    yield desk
    desk.database.__exit__()


def failed(desk: Desk) -> set[str]:
    """The gates that refuse a candidate made now."""
    desk.publish()
    return {result.gate for result in evaluation(desk) if not result.passed}


def evaluation(desk: Desk) -> list[GateResult]:
    """The results of the last candidate, whatever became of it."""
    (row,) = desk.database._rows("SELECT manifest FROM candidates ORDER BY release DESC LIMIT 1")
    return decode_manifest(row[0]).evaluation


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_what_passes_is_published_and_announced(desk: Desk) -> None:
    """Store, topic, note for the command and database all name the new release."""
    base = desk.live.manifest
    desk.learn(*learned_numbers(40), *learned_numbers(4, held_out=True))
    manifest = desk.publish().manifest
    announced = live_announcement(desk.kafka, desk.shared)

    assert announced is not None
    assert announced == desk.live.announcement
    assert desk.store.manifest(manifest.release, announced.manifest_digest) == manifest
    assert desk.store.pointed("live") == manifest.release
    assert (manifest.parent, manifest.learner) == (base.release, "mixture")
    assert manifest.class_prior == desk.learning.learner.prior()
    assert sum(manifest.lineage.labels_by_class.values()) == 40
    assert [result.gate for result in manifest.evaluation] == ["enough_labels"]
    assert desk.database.candidates.last_seq_announced() == desk.database.last_learned()


def test_a_candidate_is_due_once_for_what_was_learned(desk: Desk) -> None:
    """Not before the first label, not again without a new one, not while the live one is pinned."""
    due = [desk.publishing.due(desk.live)]
    desk.learn(*learned_numbers(1, held_out=True))
    due.append(desk.publishing.due(desk.live))
    desk.learn(*learned_numbers(8))
    pinned = LiveRelease(
        msgspec.structs.replace(desk.live.announcement, pinned=True), desk.live.classifier
    )
    due += [desk.publishing.due(pinned), desk.publishing.due(desk.live)]
    desk.publish()
    due += [desk.publishing.due(desk.live), desk.desk().due(desk.live)]

    assert due == [False, False, False, True, False, False]


def test_a_release_is_calibrated_inside_its_head(desk: Desk) -> None:
    """What a worker serves are the learner's logits by the temperature that the manifest names."""
    held = learned_numbers(60, held_out=True)
    desk.learn(*learned_numbers(40), *held)
    release = desk.publish()
    classifier, temperature = release.classifier, release.manifest.temperature
    tokens = classifier.tokenise([labelled(number).title for number in held])
    inference = classifier.infer(tokens)
    examples = Examples(inference.encoded.features, [text.ids for text in tokens])
    learned = desk.learning.learner.logits(examples)

    assert temperature != 1
    np.testing.assert_allclose(inference.logits, learned / temperature, rtol=1e-3, atol=1e-3)
    figure = desk.metrics.registry.get_sample_value(
        "roomstream_trainer_candidate_quality", {"figure": "temperature"}
    )
    assert figure == temperature


def test_a_release_says_how_good_it_is(desk: Desk) -> None:
    """By class and by domain, with intervals; that is what `releases show` tells."""
    desk.learn(*learned_numbers(80), *learned_numbers(60, held_out=True))
    quality = desk.publish().manifest.quality

    assert quality is not None
    assert quality.items == 60
    assert set(quality.intervals) == {"accuracy", "macro_f1", "log_loss", "calibration_error"}
    for figure, (low, high) in quality.intervals.items():
        assert 0 <= low <= high
        assert low <= getattr(quality, figure) <= high or figure == "calibration_error"
    assert set(quality.by_class) == set(ROOM_TYPES)
    assert sum(figure.items for figure in quality.by_class.values()) == 60
    assert {domain: figure.items for domain, figure in quality.by_domain.items()} == {"": 60}


def test_the_second_release_passes_every_gate(desk: Desk) -> None:
    """With its figures in the manifest and in a metric."""
    desk.learn(*learned_numbers(80), *learned_numbers(40, held_out=True))
    desk.publish()
    desk.learn(*learned_numbers(80, start=1_000))
    evaluation = desk.publish().manifest.evaluation
    figure = desk.metrics.registry.get_sample_value

    assert [result.gate for result in evaluation] == [
        "accuracy",
        "recall",
        "calibration",
        "baseline",
    ]
    for result in evaluation:
        for name, value in result.figures.items():
            labels = {"gate": result.gate, "figure": name}
            assert value == figure("roomstream_trainer_gate_figure", labels)
    assert "TF-IDF" in evaluation[-1].why


def test_a_head_that_was_trained_elsewhere_is_replaced_by_what_is_proved(desk: Desk) -> None:
    """Few labels, or few of them held out, prove nothing against it, and people are told so."""
    desk.settings = desk.settings.model_copy(update={"first_labels_per_class": 15})
    desk.publishing = desk.desk()
    desk.serve(scale=12)
    base = desk.live
    desk.learn(*learned_numbers(20))
    few_labels = failed(desk)
    desk.learn(*learned_numbers(100, start=1_000), *learned_numbers(19, held_out=True))
    few_held_out = failed(desk)
    desk.learn(*learned_numbers(1, held_out=True, start=1_000))
    stayed = desk.live is base
    passed = desk.publish().manifest.evaluation

    assert few_labels == {"enough_labels", "enough_held_out"}
    assert few_held_out == {"enough_held_out"}
    assert stayed
    assert [result.gate for result in passed] == list(GATES[:-1])


def test_what_loses_two_listings_is_no_chance_against_a_head_trained_elsewhere(desk: Desk) -> None:
    """Twenty of twenty are right; a candidate that was taught wrong labels of a class is not."""
    desk.serve(scale=12)
    hotels = [number for number in learned_numbers(160) if number % 4 == 3]
    others = [number for number in learned_numbers(160) if number % 4 != 3]
    held = [number for number in learned_numbers(100, held_out=True) if number % 4 != 3][:18]
    rare = [number for number in learned_numbers(100, held_out=True) if number % 4 == 3][:2]
    desk.learn(*others, *held, *rare)
    desk.learn(*hotels, label="Shared room")

    assert failed(desk) >= {"accuracy", "recall"}


def test_a_new_database_proves_what_it_makes(desk: Desk, tmp_path: Path) -> None:
    """Under a release that learned what it has not; once it has learned that too, it goes on."""
    numbers, held = learned_numbers(60), learned_numbers(3, held_out=True)
    desk.learn(*numbers, *held)
    desk.publish()
    desk.database.__exit__()
    desk.database, desk._offset = Database(tmp_path / "new.sqlite"), 0
    desk.choose("mixture")
    desk.publishing = desk.desk()
    desk.learn(*numbers[:40])
    waiting = failed(desk)
    desk.learn(*numbers[40:], *held)

    assert waiting == {"enough_held_out"}
    assert failed(desk) == set()


def doubtful(number: int) -> LabelledEvent:
    """A label that is drawn by lot for one listing in five: nobody can know better than 85% of them."""
    chance = random.Random(f"doubtful {number}")
    return labelled(number, chance.choice(ROOM_TYPES) if chance.random() < 0.2 else None)


def refused(desk: Desk, learner: Learner) -> dict[str, GateResult]:
    """The gates that refuse what a learner has become."""
    desk.publishing.run(learner, desk.live)
    return {result.gate: result for result in evaluation(desk) if not result.passed}


@pytest.fixture
def doubts(desk: Desk) -> tuple[Desk, Items]:
    """A good release of doubtful labels, and what it has learned."""
    desk.settings = desk.settings.model_copy(update={"suspect_confidence": 1})
    desk.choose("mixture")
    numbers = [*learned_numbers(600), *learned_numbers(200, held_out=True)]
    desk.learning.step(records([doubtful(number) for number in numbers]))
    desk._offset = len(numbers)
    desk.publish()
    return desk, desk.database.kept.items(held_out=False)


def taught(desk: Desk, items: Items, rows: Sequence[int], epochs: int = 1) -> Learner:
    """A learner that has seen some listings so many times."""
    learner = LEARNERS["ngram"]()
    for label in ROOM_TYPES:
        learner.add_class(label)
    examples = desk.learning._examples(items)
    for _ in range(epochs):
        teach(learner, examples.at(rows), [items.labels[row] for row in rows])
    return learner


def test_an_overfitted_head_is_refused_for_its_calibration(doubts: tuple[Desk, Items]) -> None:
    """It knows 60 doubtful labels by heart; no temperature mends that it is as sure of the others."""
    desk, items = doubts
    rows = range(60)
    learner = taught(desk, items, rows, epochs=40)
    logits = learner.logits(desk.learning._examples(items).at(rows))
    said = [learner.classes[place] for place in logits.argmax(axis=1)]

    assert said == items.labels[:60]
    assert refused(desk, learner).keys() >= {"calibration", "accuracy"}


def test_a_head_that_lost_a_class_is_refused_for_its_recall(doubts: tuple[Desk, Items]) -> None:
    """It has learned everything but one class, and never says that one."""
    desk, items = doubts
    rows = [row for row, label in enumerate(items.labels) if label != "Hotel room"]
    gates = refused(desk, taught(desk, items, rows))

    assert gates["recall"].why.startswith("Hotel room loses")
    assert [name for name, lost in gates["recall"].figures.items() if lost > 0.5] == [
        "lost: Hotel room"
    ]


def test_the_last_release_that_labels_have_proved_is_compared_too(
    doubts: tuple[Desk, Items],
) -> None:
    """While it is another one than the live release, also after a restart."""
    desk, items = doubts
    contest = Contest(desk.database, desk.settings, desk.releases, desk.metrics, desk.live)
    desk.learn(*learned_numbers(40, start=5_000))
    alone = desk.publish().manifest.evaluation
    contest.lives(desk.live)
    desk.learn(*learned_numbers(40, start=6_000))
    desk.publishing = desk.desk()
    beside = desk.publish().manifest.evaluation
    rows = [row for row, label in enumerate(items.labels) if label != "Hotel room"]
    gates = refused(desk, taught(desk, items, rows))

    assert [result.gate for result in alone] == list(GATES[2:6])
    assert [result.gate for result in beside] == list(GATES[2:])
    assert "Hotel room" in gates["erosion"].why


def test_labels_that_reviewers_were_asked_for_are_no_sample(desk: Desk) -> None:
    """Hotel rooms are labelled ten times as often as others; the release knows how rare they are."""
    events = [
        msgspec.structs.replace(event, propensity=1.0 if event.label == "Hotel room" else 0.1)
        for event in map(labelled, learned_numbers(400))
    ]
    desk.learning.step(records(events))
    prior = dict(zip(ROOM_TYPES, desk.publish().manifest.class_prior, strict=True))
    labels = dict(zip(ROOM_TYPES, desk.learning.learner.prior(), strict=True))

    assert labels["Hotel room"] > 0.2
    assert prior["Hotel room"] < 0.1
    assert sum(prior.values()) == pytest.approx(1)


def test_a_refused_candidate_leaves_its_figures_only(desk: Desk, tmp_path: Path) -> None:
    """The store is as it was, however many candidates are refused; the database has them."""
    desk.learn(*learned_numbers(40), *learned_numbers(40, held_out=True))
    good = desk.publish()
    before = files(tmp_path / "store")
    for number in learned_numbers(3, start=500):
        desk.learn(*learned_numbers(400, start=1_000 * number), label="Hotel room")
        desk.publish()
    rows = desk.database._rows("SELECT manifest FROM candidates WHERE outcome = 'refused'")
    refused = [msgspec.json.decode(row[0]) for row in rows]

    assert desk.live is good
    assert len(refused) == 3
    assert all(not all(gate["passed"] for gate in each["evaluation"]) for each in refused)
    assert before == files(tmp_path / "store")


def test_a_release_of_another_store_is_the_base_of_ours(desk: Desk, tmp_path: Path) -> None:
    """The operator moved the store: the next release is whole in the new one."""
    desk.live = desk.base(f"file://{tmp_path / 'old'}")
    for blob in desk.live.manifest.blobs.values():
        path = tmp_path / "store" / "blobs" / "sha256" / blob.digest[:2] / blob.digest
        path.unlink(missing_ok=True)
    desk.learning.follow(desk.live)
    desk.learn(*learned_numbers(40))
    manifest = desk.publish().manifest

    assert desk.live.announcement.store == desk.shared.store
    Classifier.load(manifest, desk.store.get)


def test_what_somebody_else_made_live_can_be_repeated(desk: Desk) -> None:
    """It is the last announcement again, with its pin, under our epoch, and noted for the command."""
    desk.learn(*learned_numbers(40))
    theirs = msgspec.structs.replace(desk.live.announcement, pinned=True)
    desk.publish()
    again = desk.publishing.repeat(theirs)

    assert again == msgspec.structs.replace(theirs, epoch=1)
    assert again == live_announcement(desk.kafka, desk.shared)
    assert desk.store.pointed("live") == theirs.release


def test_labels_are_timed_once(desk: Desk) -> None:
    """Every learned label enters label-to-live with the first release that has it."""
    desk.learn(*learned_numbers(10))
    desk.publish()
    desk.learn(*learned_numbers(5, start=1_000))
    desk.publish()
    value = desk.metrics.registry.get_sample_value("roomstream_trainer_label_to_live_seconds_count")

    assert value == 15


def test_the_lineage_says_when_a_deleted_listing_was_gone(desk: Desk) -> None:
    """A deletion makes a release due; it is the first one without, by places, and says so once."""
    desk.choose("slda")
    one, two, *numbers = learned_numbers(40)
    desk.learn(*numbers, one)
    before = desk.publish().manifest
    desk.learn(two)
    desk.learning.step([record(deletion(one), 0), record(deletion(two), 1)])
    due = [desk.publishing.due(desk.live), desk.desk().due(desk.live)]
    first = desk.publish().manifest
    due += [desk.publishing.due(desk.live), desk.desk().due(desk.live)]
    desk.learn(*learned_numbers(2, start=900))
    second = desk.publish().manifest

    assert due == [True, True, False, False]
    assert [m.lineage.deleted for m in (before, first, second)] == [0, 2, 2]
    assert first.lineage.deleted_since == [LabelOffsets("labelled", 0, [38, 39])]
    assert [m.lineage.deleted_since for m in (before, second)] == [[], []]
    assert all(not m.lineage.deleted_inside for m in (before, first, second))
    assert deleted_later(before, desk.store) == [(first.release, LabelOffsets("labelled", 0, [38]))]
    assert deleted_later(second, desk.store) == []
    assert b"l-" not in msgspec.json.encode(first.lineage)


class Stubborn(StreamingLda):
    """Cannot take anything back."""

    def forget(self, features: object, labels: object) -> bool:
        """As n-grams."""
        return False


def test_what_a_learner_cannot_take_back_goes_with_the_next_fit(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then every release says what it still has."""
    numbers = learned_numbers(40)
    desk.learn(*numbers)
    desk.publish()
    with monkeypatch.context() as patch:
        patch.setattr(StreamingLda, "forget", Stubborn.forget)
        desk.learning.step([record(deletion(numbers[3]), 0)])
    not_due = desk.publishing.due(desk.live)
    desk.learn(*learned_numbers(1, start=900))
    having = desk.publish().manifest.lineage
    manifest = tiny_release(desk.store, seed=3, scale=0)
    manifest = msgspec.structs.replace(manifest, learner="untrained")
    desk.store.publish(manifest)
    other = msgspec.structs.replace(
        desk.live.announcement, release=manifest.release, manifest_digest=manifest.digest()
    )
    desk.live = desk.releases.load(other)
    desk.learning.follow(desk.live)
    due = desk.publishing.due(desk.live)
    without = desk.publish().manifest.lineage

    assert (not_due, due) == (False, True)
    place = [LabelOffsets("labelled", 0, [3])]
    assert (having.deleted_inside, having.deleted_since) == (place, [])
    assert (without.deleted_inside, without.deleted_since) == ([], place)


class Liar(StreamingLda):
    """Exports another head than it is."""

    def head(self) -> bytes:
        """Wrong by one per cent."""
        weights, bias = self._solve(8)
        return linear_head(1.01 * weights.astype(np.float32), bias.astype(np.float32))


def test_a_head_that_is_not_the_learner_is_never_published(desk: Desk, tmp_path: Path) -> None:
    """That is a bug, and said to be one; nothing is announced."""
    desk.learn(*learned_numbers(40), *learned_numbers(4, held_out=True))
    before = files(tmp_path / "store")
    liar = Liar.from_state(desk.learning.learner.state())

    with pytest.raises(RoomstreamError, match="This is a bug: the exported head differs"):
        desk.publishing.run(liar, desk.live)
    assert before == files(tmp_path / "store")
    assert live_announcement(desk.kafka, desk.shared) is None


def test_classes_stay_in_their_order(desk: Desk) -> None:
    """A new one comes last, so that scores can be compared from release to release."""
    desk.learn(*learned_numbers(20))
    first = desk.publish().manifest.labels
    desk.learn(*learned_numbers(3, start=700), label="Igloo")
    second = desk.publish().manifest.labels

    assert first == list(ROOM_TYPES)
    assert second == [*ROOM_TYPES, "Igloo"]
