"""Listings that a release answers otherwise than its parent."""

from pathlib import Path

import pytest

from artefacts.classifier import Classifier
from artefacts.graphs import Encoders
from artefacts.store import Store
from roomstream.explaining.answering import Known, changed_answers, made_up_listings
from tests.releases import KABOOM, ROOM_TYPES, tiny_release


def load(store: Store, labels: tuple[str, ...], encoders: Encoders, seed: int = 0) -> Classifier:
    """Publish and load a release."""
    return Classifier.load(tiny_release(store, labels=labels, seed=seed), store.get, encoders)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store of our own."""
    return Store(f"file://{tmp_path / 'store'}")


@pytest.mark.parametrize("seed", [0, 3], ids=["the same encoder", "another encoder"])
def test_changed_answers_are_told_from_kept_ones(store: Store, seed: int) -> None:
    """By what they mean: right by now, wrong by now, or wrong as before."""
    encoders = Encoders()
    parent = load(store, ROOM_TYPES[:2], encoders)
    release = load(store, ROOM_TYPES, encoders, seed)
    texts = {
        "litera compartida": "Shared room",  # became right
        "suite hotel con recepcion": "Private room",  # says hotel, is none
        "habitacion privada doble": "Private room",  # stays
        f"{KABOOM} private room": "Private room",  # breaks both
    }
    listings = [Known(text, truth, "held out") for text, truth in texts.items()]

    found = changed_answers(release, parent, listings, "listings of a test", most=10)
    by_text = {example.text: example for example in found.shown}

    assert found.answered == 3
    assert sum(found.turns.values()) == 2
    assert set(by_text) == {"litera compartida", "suite hotel con recepcion"}
    bunk = by_text["litera compartida"]
    assert (bunk.now, bunk.truth, bunk.turn) == ("Shared room", "Shared room", "became right")
    assert bunk.before in ROOM_TYPES[:2]
    assert 0.5 < bunk.confidence <= 1
    assert by_text["suite hotel con recepcion"].turn in ("changed", "became wrong")


def test_every_kind_of_change_is_shown_and_no_more_than_asked_for(store: Store) -> None:
    """A hundred answers that became right do not hide the one that became wrong."""
    encoders = Encoders()
    parent, release = (load(store, labels, encoders) for labels in (ROOM_TYPES[:2], ROOM_TYPES))
    before = parent.predict(["litera"])[0].label
    listings = [Known("litera compartida", "Shared room", "learned")] * 100
    listings.append(Known("litera", before, "held out"))

    found = changed_answers(release, parent, listings, "listings of a test", most=2)

    assert found.turns == {"became wrong": 1, "became right": 100, "changed": 0}
    assert [example.turn for example in found.shown] == ["became wrong", "became right"]


def test_texts_can_do_nothing_to_a_terminal(store: Store) -> None:
    """Escape sequences and line breaks of a title are not printed, and long ones are cut."""
    encoders = Encoders()
    parent, release = (load(store, labels, encoders) for labels in (ROOM_TYPES[:2], ROOM_TYPES))
    text = "litera\x1b[31m\n\u202ecompartida \x9b2J" + " shared" * 100

    found = changed_answers(release, parent, [Known(text, "Shared room", "learned")], "", most=1)

    (example,) = found.shown
    assert example.text.isprintable()
    assert example.text.startswith("litera[31m compartida 2J shared")
    assert len(example.text) == 160


def test_made_up_listings_are_always_the_same_and_labelled() -> None:
    """So that two people see the same examples; Spanish and English both."""
    listings = made_up_listings()
    texts = " ".join(listing.text.lower() for listing in listings)

    assert made_up_listings() == listings
    assert {listing.truth for listing in listings} == set(ROOM_TYPES)
    assert "room" in texts
    assert "habitación" in texts
