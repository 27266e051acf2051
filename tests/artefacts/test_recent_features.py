"""Features of texts that came before are remembered, and are those that the encoder would compute."""

from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from artefacts.graphs import Encoder
from artefacts.recent_features import RecentFeatures
from artefacts.tokenisation import Tokens
from tests.releases import tiny_encoder

KEYS = (b"estudio", b"loft", b"habitacion", b"room", b"atico", b"flat")
CALLS = st.lists(
    st.tuples(st.booleans(), st.lists(st.sampled_from(KEYS), unique=True)), max_size=30
)


def text(*ids: int) -> Tokens:
    """A text of these tokens."""
    return Tokens([2, *ids, 3], False)


@given(st.integers(0, 4), CALLS)
def test_what_was_asked_for_longest_ago_goes_first(
    capacity: int, calls: list[tuple[bool, list[bytes]]]
) -> None:
    """As a list in the order of use says."""
    recent, used = RecentFeatures(capacity), OrderedDict[bytes, float]()
    for number, (asks, keys) in enumerate(calls):
        if asks:
            expected = {key: used[key] for key in keys if key in used}
            assert {key: row[0] for key, row in recent.known(keys).items()} == expected
        else:
            recent.remember({key: np.full(2, number, np.float32) for key in keys})
            used.update(dict.fromkeys(keys, float(number)))
        for key in keys:
            if key in used:
                used.move_to_end(key)
        while len(used) > capacity:
            used.popitem(last=False)
    assert recent.known(KEYS).keys() == used.keys()


def test_what_is_remembered_is_not_what_a_caller_writes_to() -> None:
    """A row is a copy of what the batch had."""
    recent = RecentFeatures(1)
    batch = np.ones((3, 2), np.float32)
    recent.remember({b"loft": batch[1]})
    batch[:] = 0

    assert recent.known([b"loft"])[b"loft"].tolist() == [1, 1]
    assert recent.known([b"loft"])[b"loft"].base is None


def test_a_text_that_comes_again_is_not_run() -> None:
    """In one call or in a later one; its features are the same bits."""
    model = tiny_encoder()
    remembering, plain = Encoder(model, recent_texts=10), Encoder(model)
    loft, room, flat = text(7), text(8, 9), text(10, 11, 12)
    first = remembering.of_tokens([loft, room, loft])
    second = remembering.of_tokens([flat, loft, room])
    none = remembering.of_tokens([loft, room])

    assert (first.remembered, first.real_tokens) == (1, 3 + 4)
    assert (second.remembered, second.real_tokens, second.padded_tokens) == (2, 5, 5)
    assert (none.remembered, none.real_tokens, none.padded_tokens) == (2, 0, 0)
    for found, texts in ((first, [loft, room, loft]), (second, [flat, loft, room])):
        assert np.array_equal(found.features, plain.of_tokens(texts).features)


def test_without_room_nothing_is_remembered() -> None:
    """Only what comes twice in one call is run once."""
    encoder = Encoder(tiny_encoder())

    assert encoder.of_tokens([text(7), text(7)]).remembered == 1
    assert encoder.of_tokens([text(7)]).remembered == 0


def test_texts_of_other_tokens_are_told_apart() -> None:
    """Ids beyond a byte or two, and a text that another one begins with."""
    encoder = Encoder(tiny_encoder(), recent_texts=10)
    texts = [text(5), text(5, 5), text(5, 6), text(6, 5), Tokens([5], False)]

    assert encoder.of_tokens(texts).remembered == 0
    assert encoder.of_tokens(texts).remembered == len(texts)


def test_several_threads_share_it() -> None:
    """The worker answers while a release with the same encoder is loaded."""
    encoder = Encoder(tiny_encoder(), recent_texts=5)
    texts = [text(4 + number % 20, 5) for number in range(40)]
    expected = Encoder(tiny_encoder()).of_tokens(texts).features
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: encoder.of_tokens(texts).features, range(40)):
            assert np.array_equal(found, expected)
