"""Every learner in a worker: its head is released, taken up, and says what the learner says."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import msgspec
import numpy as np
import pytest

from artefacts.classifier import Classifier
from artefacts.manifest import HEAD, Blob, Manifest
from artefacts.store import Store, new_release_id
from roomstream.listings import Listing, listing_message
from roomstream.live import make_live
from runtime.settings import KafkaSettings, SharedSettings
from schemas.topics import Topic
from tests.kafka_io import read_until, send
from tests.processes import eventually
from tests.releases import FILLERS, ROOM_TYPES, WORDS, tiny_release
from tests.workers.listings import answers
from tests.workers.processes import Fleet, WorkerProcess
from trainer.learners import LEARNERS
from trainer.learners.base import Examples, Learner, teach
from trainer.provenance import with_golden

pytestmark = pytest.mark.parametrize("broker", ["embedded_broker"], ids=["embedded"], indirect=True)

LABELLED, ASKED = 400, 60


def titles(seed: int, count: int) -> tuple[list[str], list[str]]:
    """Titles of two words of a room type among fillers in Spanish and English, and their labels."""
    chance = np.random.default_rng(seed)
    labels = [ROOM_TYPES[kind] for kind in chance.integers(0, len(ROOM_TYPES), count)]
    texts = [
        " ".join(
            chance.permutation(
                [*chance.choice(WORDS[label], 2), *chance.choice(FILLERS, 3)]
            ).tolist()
        )
        for label in labels
    ]
    return texts, labels


def seen(classifier: Classifier, texts: Sequence[str]) -> Examples:
    """What learners see of texts."""
    tokens = classifier.tokenise(texts)
    return Examples(classifier.encoder.of_tokens(tokens).features, [each.ids for each in tokens])


def released(store: Store, base: Manifest, learner: Learner) -> Manifest:
    """Publish the head of a learner on the encoder of a release."""
    head, at = learner.head(), datetime.now(UTC)
    manifest = msgspec.structs.replace(
        base,
        release=new_release_id(at, Blob.of(head)),
        created_at=at,
        labels=learner.classes,
        learner=learner.name,
        blobs={**base.blobs, HEAD: store.put(head)},
    )
    manifest = with_golden(manifest, store.get)
    store.publish(manifest)
    return manifest


def serves(worker: WorkerProcess, release: str) -> bool:
    """Whether a worker says that it answers with a release."""
    return release in worker.get("/readyz")[1]


def test_every_learner_is_served(
    kafka_settings: KafkaSettings, shared: SharedSettings, store: Store, live: str, fleet: Fleet
) -> None:
    """One worker takes up a release of each, one after another; every answer is the learner's own."""
    base = tiny_release(store)
    classifier = Classifier.load(base, store.get)
    texts, labels = titles(1, LABELLED)
    asked, _ = titles(2, ASKED)
    worker = fleet.start(WORKER_REVIEW_SHARE="0")
    assert live
    expected: dict[str, list[str]] = {}
    for name, kind in LEARNERS.items():
        learner = kind()
        teach(learner, seen(classifier, texts), labels)
        release = released(store, base, learner).release
        best = learner.logits(seen(classifier, asked)).argmax(axis=1)
        expected[release] = [learner.classes[place] for place in best]
        make_live(kafka_settings, shared, release, f"learned by {name}")
        eventually(partial(serves, worker, release), f"{name} serves")
        messages = [
            listing_message(
                Listing(f"{release}-{row}", text), f"{release}-{row}", datetime.now(UTC)
            )
            for row, text in enumerate(asked)
        ]
        send(
            kafka_settings,
            Topic.LISTINGS.named(shared.topic_prefix),
            [(each.key, each.value, each.headers) for each in messages],
        )
        records = read_until(
            kafka_settings,
            shared.topic_prefix,
            Topic.CLASSIFIED,
            lambda found: len(found) >= ASKED * len(expected),
        )
    found = {each.event_id: (each.release, each.label) for each in answers(records)}
    assert found == {
        f"{release}-{row}": (release, label)
        for release, said in expected.items()
        for row, label in enumerate(said)
    }
