"""A loaded release answers in Spanish and English, the same in any company."""

import uuid
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artefacts.classifier import Classifier
from artefacts.errors import InferenceError
from artefacts.graphs import Encoders
from artefacts.manifest import Manifest
from artefacts.store import Store
from tests import strategies
from tests.releases import KABOOM, ROOM_TYPES, load_tiny, tiny_release

TITLES = {
    "Entire flat near the centro": "Entire home/apt",
    "Apartamento luminoso con balcón": "Entire home/apt",
    "Habitación doble privada 🌿": "Private room",
    "PRIVATE ROOM with a view": "Private room",
    "Litera en dormitorio compartido": "Shared room",
    "Bunk in a shared dorm": "Shared room",
    "Hostal con recepción": "Hotel room",
}


@pytest.fixture
def store() -> Store:
    return Store(f"memory://{uuid.uuid4().hex}")


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load_tiny(Store(f"memory://{uuid.uuid4().hex}"))


def test_spanish_and_english_titles_are_labelled(classifier: Classifier) -> None:
    """The answer names the most probable label and its score."""
    predictions = classifier.predict(list(TITLES))

    assert list(TITLES.values()) == [prediction.label for prediction in predictions]
    for prediction in predictions:
        assert prediction.confidence == prediction.scores[prediction.label]
        assert prediction.confidence == max(prediction.scores.values()) > 0.6


@given(texts=st.lists(strategies.texts(120), max_size=6))
def test_scores_are_probabilities(classifier: Classifier, texts: list[str]) -> None:
    """Whatever the texts, each gets one score a label in [0, 1], and they sum to 1."""
    predictions = classifier.predict(texts)

    assert len(texts) == len(predictions)
    for prediction in predictions:
        assert set(ROOM_TYPES) == set(prediction.scores)
        assert all(0 <= score <= 1 for score in prediction.scores.values())
        assert sum(prediction.scores.values()) == pytest.approx(1, abs=1e-5)


@given(order=st.permutations(list(TITLES)), size=st.integers(1, 7), filler=st.integers(0, 40))
def test_company_does_not_change_an_answer(
    classifier: Classifier, order: list[str], size: int, filler: int
) -> None:
    """A text has the same answer alone, in any order and in any batch."""
    texts = [*order[:size], *(["room " * 20] * filler)]

    for text, prediction in zip(texts, classifier.predict(texts), strict=True):
        (alone,) = classifier.predict([text])
        assert (alone.label, alone.truncated) == (prediction.label, prediction.truncated)
        assert alone.scores == pytest.approx(prediction.scores, abs=1e-5)


def test_a_cut_text_says_so(classifier: Classifier) -> None:
    """The answer to a long text tells that its end was not read."""
    short, long = classifier.predict(["loft", "loft " * 15 + "hotel " * 500])

    assert [short.truncated, long.truncated] == [False, True]
    assert long.label == "Entire home/apt"


def test_an_empty_window_has_no_answers(classifier: Classifier) -> None:
    """No text is no error."""
    assert classifier.predict([]) == []


def test_tokens_are_counted(classifier: Classifier) -> None:
    """Two texts of 3 and 6 tokens share a batch of 12, padding included."""
    inference = classifier.infer(classifier.tokenise(["loft", "loft en centro con"]))

    encoded = inference.encoded
    assert (encoded.real_tokens, encoded.padded_tokens, encoded.remembered) == (9, 12, 0)
    assert encoded.features.shape == (2, 8)


def test_an_answer_that_is_no_number_fails_its_batch(classifier: Classifier) -> None:
    """One text breaks its window, and the window without it is answered."""
    window = [*TITLES, f"loft {KABOOM}"]

    with pytest.raises(InferenceError, match="not a finite number"):
        classifier.predict(window)
    assert len(TITLES) == len(classifier.predict(window[:-1]))


# --- reuse ---


def loads(store: Store, encoders: Encoders, releases: Sequence[Manifest]) -> list[Classifier]:
    return [Classifier.load(manifest, store.get, encoders) for manifest in releases]


def test_a_release_that_changes_only_its_head_keeps_the_encoder(store: Store) -> None:
    """The encoder in memory is taken again, and the head is new."""
    before, after = loads(store, Encoders(), [tiny_release(store), tiny_release(store, scale=20)])

    assert before.encoder is after.encoder
    assert before.tokenizer is after.tokenizer
    assert before.head is not after.head
    (old,), (new,) = before.predict(["loft"]), after.predict(["loft"])
    assert old.confidence < new.confidence


def test_another_encoder_is_loaded(store: Store) -> None:
    """Other features never come from the encoder that happens to be there."""
    before, after = loads(store, Encoders(), [tiny_release(store), tiny_release(store, seed=1)])

    assert before.encoder is not after.encoder


def test_releases_serve_beside_each_other(store: Store) -> None:
    """The old release answers as before while the new one is loaded and answers too."""
    old = load_tiny(store)
    expected = old.predict(list(TITLES))
    flat = load_tiny(store, scale=0)

    assert expected == old.predict(list(TITLES))
    for prediction in flat.predict(list(TITLES)):
        assert prediction.scores == pytest.approx(dict.fromkeys(ROOM_TYPES, 0.25))
