"""Which releases a real trainer announces: gates, pins, other encoders, new classes."""

import time

from artefacts.classifier import Classifier
from roomstream.live import make_live
from tests.processes import eventually
from tests.releases import ROOM_TYPES
from tests.trainer.labels import labelled, learned_numbers
from tests.trainer.process import Deployment
from trainer.database import Database

ENCODING = "encoding all kept listings with the new encoder: no label is learned meanwhile"
QUICK = {"release_interval_seconds": 0.2, "first_labels_per_class": 3}


def test_the_first_release_waits_for_enough_labels(deployment: Deployment) -> None:
    """Three of every class, or nothing is announced; the refusals are kept with their figures."""
    base = deployment.live().release
    deployment.ready(**QUICK)
    hotels = [number for number in learned_numbers(80) if labelled(number).label == "Hotel room"]
    others = [number for number in learned_numbers(80) if number not in hotels]
    deployment.send(*(labelled(number) for number in others))
    eventually(
        lambda: bool(deployment.logs("candidate refused: the live release stays")), "refused"
    )
    eventually(lambda: deployment.events("learned") == len(others), "learned")
    before = deployment.live().release
    deployment.send(*(labelled(number) for number in hotels[:3]))
    eventually(lambda: deployment.live().release != base, "the first release")

    assert base == before
    refused = deployment.logs("candidate refused: the live release stays")[0]
    assert "0 of the rarest class" in refused["gates"]["enough_labels"]
    name = 'roomstream_trainer_gate_results_total{gate="enough_labels",outcome="failed"}'
    assert deployment.metrics()[name] >= 1


def test_wrong_labels_are_not_announced(deployment: Deployment) -> None:
    """A burst of them after a good model fails its gates; the good one stays, and logs say why."""
    deployment.base(scale=12)
    deployment.ready(**QUICK)
    held = learned_numbers(60, held_out=True)
    deployment.send(*(labelled(number) for number in (*held, *learned_numbers(80))))
    eventually(lambda: deployment.learned() == 80, "a good release")
    good = deployment.live().release
    deployment.stop()
    wrong = [
        labelled(number, label=ROOM_TYPES[(number + 1) % 4])
        for number in learned_numbers(400, start=10_000)
    ]
    deployment.send(*wrong)
    deployment.ready(**QUICK | {"max_batch": 1_000})
    eventually(lambda: deployment.events("learned") == 400, "all are learned")
    eventually(lambda: _refused(deployment) > 0, "a refusal")
    failed = deployment.metrics()[
        'roomstream_trainer_gate_results_total{gate="accuracy",outcome="failed"}'
    ]
    deployment.stop()
    last = deployment.logs("candidate refused: the live release stays")[-1]
    with Database(deployment.database) as database:
        rows = database._rows("SELECT outcome FROM candidates WHERE release = ?", last["candidate"])

    assert good == deployment.live().release == last["live"]
    assert "the live release" in last["gates"]["accuracy"]
    assert failed > 0
    assert rows == [("refused",)]


def _refused(deployment: Deployment) -> float:
    return deployment.metrics()['roomstream_trainer_releases_total{outcome="refused"}']


def test_a_pinned_release_stays_until_it_is_unpinned(deployment: Deployment) -> None:
    """The trainer learns on and announces nothing; unpinned, it announces what it learned."""
    base = deployment.base()
    deployment.ready(**QUICK)
    make_live(deployment.kafka, deployment.shared, base.release, "hold on", pinned=True)
    time.sleep(1)
    deployment.send(*(labelled(number) for number in learned_numbers(40)))
    eventually(lambda: deployment.events("learned") == 40, "learned")
    time.sleep(1)
    pinned = deployment.live()
    make_live(deployment.kafka, deployment.shared, base.release, "go on")
    eventually(lambda: deployment.learned() == 40, "announced")

    assert (base.release, True) == (pinned.release, pinned.pinned)


def test_a_pin_holds_in_the_middle_of_releases(deployment: Deployment) -> None:
    """However the operator's and the trainer's announcements cross, the pinned release stays."""
    base = deployment.base(scale=12).release
    deployment.ready(**QUICK | {"release_interval_seconds": 0})
    numbers = iter(learned_numbers(400))
    held = []
    for pause in (0.0, 0.03, 0.06):
        for _ in range(6):
            deployment.send(labelled(next(numbers)))
        time.sleep(pause)
        make_live(deployment.kafka, deployment.shared, base, "go back", pinned=True)
        for _ in range(6):
            deployment.send(labelled(next(numbers)))
        time.sleep(1)
        held.append((deployment.live().release, deployment.live().pinned))
        make_live(deployment.kafka, deployment.shared, base, "go on")

    assert [(base, True)] * 3 == held


def test_another_encoder_is_taken_up(deployment: Deployment) -> None:
    """Somebody makes a release with another encoder live: the next one stands on it."""
    deployment.ready(**QUICK)
    deployment.send(*(labelled(number) for number in learned_numbers(60)))
    eventually(lambda: deployment.learned() == 60, "a release of the first encoder")
    other = deployment.base(scale=11, seed=1)
    eventually(lambda: bool(deployment.logs(ENCODING)), "taken up")
    held = learned_numbers(20, held_out=True)
    more = learned_numbers(20, start=5_000)
    deployment.send(*(labelled(number) for number in [*held, *more]))
    eventually(lambda: deployment.learned() == 80, "a release of the other encoder")
    manifest = deployment.live_manifest()

    assert other.blobs["encoder.onnx"] == manifest.blobs["encoder.onnx"]
    (line,) = deployment.logs("somebody else made a release live")
    assert other.release == line["release"]


def test_a_new_label_is_served(deployment: Deployment) -> None:
    """Under `admit` a head with one class more is announced, and it names the class."""
    deployment.ready(**QUICK)
    deployment.send(*(labelled(number) for number in learned_numbers(60)))
    igloos = [
        labelled(number, label="Igloo", title="sunny sunny luminoso")
        for number in learned_numbers(20, start=5_000)
    ]
    deployment.send(*igloos)
    eventually(lambda: deployment.learned() == 80, "announced")
    manifest = deployment.live_manifest()
    classifier = Classifier.load(manifest, deployment.store.get)

    assert manifest.labels == [*ROOM_TYPES, "Igloo"]
    assert [a.label for a in classifier.predict(["sunny luminoso", "hotel suite"])] == [
        "Igloo",
        "Hotel room",
    ]
