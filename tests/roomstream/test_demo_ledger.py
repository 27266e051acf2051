"""The books of a demo: whatever happens to messages, the account of it is right."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomstream.demo.ledger import Account, Answer, Ledger, Position, account
from roomstream.listings import Fate, Listing, Message

FATES: tuple[Fate, ...] = ("classified", "dead", "skipped")


def message(offset: int, fate: Fate = "classified", label: str | None = "Private room") -> Message:
    listing = Listing(f"l-{offset}", f"Room {offset}", label=label)
    return Message(
        b"key",
        None if fate == "skipped" else b"{}",
        listing=listing,
        event_id=f"e-{offset}" if fate == "classified" else None,
        fate=fate,
        error="not_json" if fate == "dead" else None,
    )


def answer(offset: int, label: str = "Private room") -> Answer:
    return Answer(f"e-{offset}", label, 0.9, "r-1")


@given(
    fates=st.lists(st.sampled_from(FATES), max_size=30),
    repeats=st.integers(1, 3),
    lost=st.sets(st.integers(0, 29)),
)
def test_every_message_is_counted_once(fates: list[Fate], repeats: int, lost: set[int]) -> None:
    """Handled and missing messages add up to what was sent; repeats are counted apart."""
    sent = {(0, offset): message(offset, fate) for offset, fate in enumerate(fates)}
    kept = [offset for offset in range(len(fates)) if offset not in lost]
    answers = {(0, o): [answer(o)] * repeats for o in kept if fates[o] == "classified"}
    dead = {(0, o): ["not_json"] * repeats for o in kept if fates[o] == "dead"}
    passed = min([o for o in lost if o < len(fates)], default=len(fates))
    found = account(sent, answers, dead, {0: passed})

    assert found.classified + found.dead + found.skipped + len(found.missing) == len(fates)
    assert (len(answers), len(dead)) == (found.classified, found.dead)
    assert (repeats - 1) * (len(answers) + len(dead)) == found.repeated
    assert found.unexpected == ()
    assert all(position[1] in lost or fates[position[1]] == "skipped" for position in found.missing)


def test_a_tombstone_counts_as_skipped_only_when_it_was_passed_over() -> None:
    """Before the workers have committed past it, nobody knows whether they have seen it."""
    sent = {(2, 5): message(5, "skipped")}

    assert Account(missing=((2, 5),)) == account(sent, {}, {}, {2: 5})
    assert Account(skipped=1) == account(sent, {}, {}, {2: 6})


@pytest.mark.parametrize(
    ("answers", "dead", "fault"),
    [
        ({(0, 9): [answer(9)]}, {}, "listings 0:9 has a result, but the demo sent nothing there"),
        ({(0, 0): [answer(7)]}, {}, "listings 0:0 holds event e-0, its answer names e-7"),
        ({}, {(0, 0): ["too_long"]}, "is a dead letter (too_long), but should be classified"),
        ({(0, 1): [answer(1)]}, {}, "listings 0:1 was classified, but should be dead"),
        ({}, {(0, 1): ["too_long"]}, "is dead for too_long, but should be for not_json"),
        ({(0, 2): [answer(2)]}, {}, "listings 0:2 was classified, but should be skipped"),
    ],
)
def test_results_that_do_not_fit_are_named(
    answers: Mapping[Position, list[Answer]], dead: Mapping[Position, list[str]], fault: str
) -> None:
    """A result for the wrong place, event, kind or reason does not pass as an answer."""
    sent = {(0, 0): message(0), (0, 1): message(1, "dead"), (0, 2): message(2, "skipped")}
    found = account(sent, answers, dead, {})

    assert fault in "\n".join(found.unexpected)


def test_a_dead_letter_and_an_answer_for_one_message_are_two_results() -> None:
    """Exactly one outcome was promised: the message counts once in each, and as a repeat."""
    found = account({(0, 0): message(0)}, {(0, 0): [answer(0)]}, {(0, 0): ["not_json"]}, {})

    assert (found.classified, found.dead, found.repeated) == (1, 1, 1)


def test_answers_are_judged_in_the_order_of_sending() -> None:
    """Whatever order they arrive in; repeats and listings without a label don't count."""
    ledger = Ledger()
    ledger.answered((1, 0), answer(0, "Shared room"))
    ledger.placed(1, (0, 0), message(0))
    ledger.placed(0, (1, 0), message(0))
    ledger.placed(2, (0, 1), message(1, label=None))
    ledger.answered((0, 0), answer(0))
    ledger.answered((0, 0), answer(0, "Hotel room"))
    ledger.answered((0, 1), answer(1))

    assert ledger.judged() == [False, True]
    assert ledger.outcomes == 3


def test_an_answer_may_come_before_its_message_is_known_to_be_sent() -> None:
    """The broker may show a message to a worker before it confirms it to the producer."""
    ledger = Ledger()
    ledger.answered((0, 0), answer(0))

    assert ledger.judged() == []
    ledger.placed(0, (0, 0), message(0))
    assert Account(classified=1) == ledger.account({})
