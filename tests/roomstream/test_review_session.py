"""A session: keys become labels, each can be taken back once, and the screen says where it is."""

from collections.abc import Iterable, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomstream.review_screen import listing
from roomstream.review_session import Session
from schemas.events import LabelledEvent, ReviewRequest
from tests.roomstream.requests import LABELS, hour, request

QUEUE = [
    request("l-0", title="Habitación privada con balcón"),
    request("l-1", title="Whole flat near the market"),
    request("l-2", title="Litera en dormitorio"),
]


def session(queue: Sequence[ReviewRequest] = QUEUE) -> tuple[Session, list[LabelledEvent]]:
    sent: list[LabelledEvent] = []
    return Session(queue, "luz", sent.append, lambda: hour(9)), sent


def said(sent: Iterable[LabelledEvent]) -> list[tuple[str, str]]:
    return [(each.listing_id, each.label) for each in sent]


def press(keys: str) -> tuple[Session, list[LabelledEvent]]:
    found, sent = session()
    for key in keys:
        found.press(key)
    return found, sent


def test_a_key_gives_a_class() -> None:
    """Those of the newest release, in its order; the last label is sent at the end."""
    found, sent = press("213")

    assert dict(zip("123", LABELS, strict=True)) == found.keys
    assert [("l-0", LABELS[1]), ("l-1", LABELS[0])] == said(sent)
    found.finish()
    found.finish()
    assert said(sent)[2:] == [("l-2", LABELS[2])]
    assert (found.request, found.labels, found.skipped) == (None, 3, 0)


def test_the_last_answer_can_be_taken_back() -> None:
    """Before it is sent; then the listing is asked about again. Also at the end of the queue."""
    found, sent = press("123u1")
    found.finish()

    assert [label for _, label in said(sent)] == [LABELS[0], LABELS[1], LABELS[0]]
    assert found.labels == 3


def test_only_the_last_answer_can_be_taken_back() -> None:
    """The one before was sent; a skip is an answer too."""
    found, sent = press("1suu")

    assert "Nothing to take back" in found.note
    assert (found.position, found.labels, found.skipped) == (2, 1, 0)
    assert [("l-0", LABELS[0])] == said(sent)


@given(st.text("123su#", max_size=12))
def test_every_answer_that_stands_is_sent_once(keys: str) -> None:
    """Whatever is pressed: as if only what was not taken back had been pressed."""
    found, sent = press(keys)
    stands: list[str] = []
    back = False
    for key in keys:
        if key == "u":
            stands, back = (stands[:-1], False) if back else (stands, False)
        elif key in "123s" and len(stands) < len(QUEUE):
            stands.append(key)
            back = True
    found.finish()

    assert said(sent) == [
        (f"l-{number}", LABELS[int(key) - 1]) for number, key in enumerate(stands) if key != "s"
    ]
    assert found.labels + found.skipped == len(stands) == found.position - 1


def test_a_new_class_can_be_typed() -> None:
    """It has a key from then on; a known one is found whatever the case."""
    found, sent = session()
    found.name("  Hotel room ")
    found.name("PRIVATE room")
    found.press("4")
    found.finish()

    assert [label for _, label in said(sent)] == ["Hotel room", "Private room", "Hotel room"]


@pytest.mark.parametrize(("typed", "note"), [(" ", "No class"), ("x" * 101, "at most 100")])
def test_what_is_no_class_is_not_sent(typed: str, note: str) -> None:
    """It says why, and the same listing is asked about."""
    found, _ = session()
    found.name(typed)

    assert note in found.note
    assert found.position == 1


def test_keys_of_commands_stand_for_no_class() -> None:
    """However many classes there are; what has no key is typed by its name."""
    many = {f"class {number}": 0.01 for number in range(100)}
    asked = msgspec.structs.replace(QUEUE[0], scores=many)
    found, sent = session([asked])

    assert not set(found.keys) & set("snuq?")
    assert len(found.keys) == 31
    found.name("class 99")
    found.finish()
    assert said(sent) == [("l-0", "class 99")]


def test_the_screen_shows_all_that_is_asked() -> None:
    """Place, progress, words, language, scores as bars, why, and the keys."""
    found, _ = press("1s")
    shown = listing(found, 80, 24).plain

    for part in ("3 of 3 · 1 labelled, 1 skipped", "Litera en dormitorio", "es · madrid"):
        assert part in shown
    assert f" 2  Private room     {'█' * 12}{'·' * 12}  50%  ◀ the release says" in shown
    assert "The release is in doubt, 95% of what is possible · asked 2026-11-27 02:00" in shown
    drawn = listing(session([request(reason="random")])[0], 80, 24).plain
    assert "Drawn at random" in drawn


def test_the_screen_obeys_no_listing() -> None:
    """Control characters are left out, and what is long is cut to the terminal."""
    bad = request(title="\x1b[2JLoft [red]", description="ñ" * 20_000)
    shown = listing(session([bad])[0], 80, 24).plain

    assert "\x1b" not in shown
    assert "[2JLoft [red]" in shown
    assert 200 < shown.count("ñ") < 80 * 10


def test_the_end_says_what_to_do() -> None:
    """The last label can still be taken back."""
    shown = listing(press("111")[0], 80, 24).plain

    assert "All 3 listings are done · 3 labelled, 0 skipped" in shown
    assert "u takes the last answer back" in shown
