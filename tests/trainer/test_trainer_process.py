"""Labels in, releases out: a real trainer on real brokers."""

import json
import re
import time
from pathlib import Path
from statistics import median

from artefacts.classifier import Classifier
from runtime.dead_letters import read_dead_letter
from schemas.topics import Topic
from tests.kafka_io import read_until, send
from tests.processes import eventually
from tests.releases import ROOM_TYPES
from tests.trainer.labels import deletion, labelled, learned_numbers
from tests.trainer.process import Deployment
from trainer.database import Database
from trainer.holdout import is_held_out

QUICK = {"release_interval_seconds": 0.2, "first_labels_per_class": 3}


def test_labels_become_releases(deployment: Deployment) -> None:
    """A release covers every label before it, never learned the hold-out, and answers rightly."""
    base = deployment.live().release
    deployment.ready(**QUICK)
    deployment.send(*(labelled(number) for number in range(120)))
    expected = sum(not is_held_out(f"l-{number}", 0.1) for number in range(120))
    eventually(lambda: deployment.learned() == expected, "all labels are live")
    manifest = deployment.live_manifest()
    classifier = Classifier.load(manifest, deployment.store.get)
    held_out = deployment.metrics()["roomstream_trainer_holdout_items"]
    handled = deployment.metrics()

    assert deployment.stop() == 0
    assert sum(part.next - part.first for part in manifest.lineage.ranges) == 120
    assert held_out == 120 - expected
    assert base == _oldest_ancestor(deployment)
    assert all(result.passed for result in manifest.evaluation)
    answers = classifier.predict(["hotel suite", "shared bunk", "private room", "entire loft"])
    assert {a.label for a in answers} == set(ROOM_TYPES)
    assert handled['roomstream_trainer_events_total{outcome="learned"}'] == expected
    assert not deployment.logs("somebody else made a release live")
    with Database(deployment.database) as database:
        learned = {listing for listing, *_ in database.kept.listings()}
        assert not learned & set(database.kept.items(held_out=True).ids)


def _oldest_ancestor(deployment: Deployment) -> str:
    manifest = deployment.live_manifest()
    while manifest.parent:
        manifest = deployment.store.manifest(manifest.parent)
    return manifest.release


def test_every_metric_has_its_documented_name(deployment: Deployment) -> None:
    """After some labels and a release, /metrics shows what docs/metrics.md lists, and no more."""
    deployment.ready(**QUICK)
    deployment.send(*(labelled(number) for number in range(60)))
    eventually(lambda: deployment.learned() > 0, "a release")
    eventually(
        lambda: 'roomstream_trainer_releases_total{outcome="announced"}' in deployment.metrics(),
        "the release is counted",
    )
    found = deployment.page("metrics")
    types = set(re.findall(r"^# TYPE (roomstream_\w+) (counter|gauge|histogram)$", found, re.M))
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    documented = re.findall(r"^\| `(roomstream_trainer_\w+)` \| (\w+) \|", page, re.M)
    samples = {re.sub(r"\{.*", "", name) for name in deployment.metrics()}
    bases = {re.sub(r"_(bucket|sum|count)$", "", name) for name in samples}

    assert set(documented) == {t for t in types if not t[0].endswith("_created")}
    assert {name for name, _ in documented} <= bases
    assert set(json.loads(deployment.page("readyz"))["conditions"]) == {
        "leader",
        "release",
        "labels",
        "publishing",
    }
    assert json.loads(deployment.page("healthz")) == {"alive": True}


def test_a_label_is_live_in_seconds(deployment: Deployment) -> None:
    """From sending to announcement, the median of five stays under five seconds."""
    deployment.ready(**QUICK)
    deployment.send(*(labelled(number) for number in learned_numbers(40)))
    eventually(lambda: deployment.learned() == 40, "the first labels are live")
    seconds = []
    for place, number in enumerate(learned_numbers(5, start=1_000)):
        started = time.monotonic()
        deployment.send(labelled(number))
        eventually(lambda wanted=41 + place: deployment.learned() == wanted, "live")  # type: ignore[misc]
        seconds.append(time.monotonic() - started)

    assert median(seconds) < 5
    name = "roomstream_trainer_label_to_live_seconds_count"
    eventually(lambda: deployment.metrics()[name] == 45, "every label is measured")


def test_deleted_listings_are_forgotten(deployment: Deployment) -> None:
    """They leave the file, also when the process is stopped right after."""
    numbers = learned_numbers(20)
    deployment.ready(**QUICK)
    deployment.send(*(labelled(number) for number in numbers))
    eventually(lambda: deployment.events("learned") == 20, "learned")
    deployment.send(*(deletion(number) for number in numbers[:12]))
    eventually(lambda: deployment.events("deletion") == 12, "forgotten")
    code = deployment.stop()
    with Database(deployment.database) as database:
        kept = {listing for listing, *_ in database.kept.listings()}

    assert code == 0
    assert {f"l-{number}" for number in numbers[12:]} == kept


def test_malformed_labels_become_dead_letters(deployment: Deployment) -> None:
    """The original bytes, key and headers with the reason; labels beside them are learned."""
    bad = {
        b"{": "not_json",
        b"\xff\xfe": "bad_utf8",
        b'{"event_id": "e"}': "missing_field",
        b"[" * 2_000: "wrong_type",
        b" " * 70_000: "too_large",
    }
    trace = [("traceparent", b"00-abc")]
    deployment.ready(**QUICK)
    send(
        deployment.kafka,
        Topic.LABELLED.named(deployment.shared.topic_prefix),
        [(b"\x00key", value, trace) for value in bad],
    )
    deployment.send(*(labelled(number) for number in learned_numbers(3)))
    eventually(lambda: deployment.events("learned") == 3, "the good ones are learned")
    eventually(lambda: deployment.events("dead") == len(bad), "dead letters")
    letters = read_until(
        deployment.kafka,
        deployment.shared.topic_prefix,
        Topic.DEAD,
        lambda found: len(found) >= len(bad),
    )
    read = [read_dead_letter(letter) for letter in letters]

    assert bad == {letter.original.value: letter.error for letter in read}
    assert {b"\x00key"} == {letter.original.key for letter in read}
    assert all(letter.original.headers == (("traceparent", b"00-abc"),) for letter in read)
    assert {"decode"} == {letter.stage for letter in read}


def test_a_dead_letter_too_large_for_its_topic_is_cut_short(deployment: Deployment) -> None:
    """A message that only just fits into Kafka does not fit with our headers, and stops nobody."""
    deployment.ready(**QUICK)
    topic = Topic.LABELLED.named(deployment.shared.topic_prefix)
    ((partition, offset),) = send(
        deployment.kafka, topic, [(b"key", b"x" * 1_048_400, [("traceparent", b"00-abc")])]
    )
    eventually(lambda: deployment.events("dead") == 1, "a dead letter")
    (record,) = read_until(
        deployment.kafka, deployment.shared.topic_prefix, Topic.DEAD, lambda found: len(found) > 0
    )
    letter = read_dead_letter(record)

    assert (letter.topic, letter.partition, letter.offset) == (topic, partition, offset)
    assert letter.error == "too_large"
