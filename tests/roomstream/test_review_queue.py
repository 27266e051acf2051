"""The queue: what is asked and not answered, each listing once, in an order."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomstream.review_queue import ReviewQueue, entropy, labelled
from schemas.codec import decode, encode
from schemas.events import Deletion, Event, LabelledEvent, ReviewRequest
from schemas.topics import Topic
from tests.roomstream.requests import deletion, feedback, hour, label, request

HOURS = st.integers(1, 12)
LISTINGS = st.sampled_from(["l-1", "l-2", "l-3"])
TITLES = st.sampled_from(["Ático", "Loft", "Whole flat near the market"])


def queue(*events: Event) -> ReviewQueue:
    found = ReviewQueue()
    for event in events:
        if isinstance(event, ReviewRequest):
            found.ask(event)
    for event in events:
        found.strike(event)
    return found


def waiting(*events: Event) -> list[str]:
    return [each.event.listing_id for each in queue(*events).waiting()]


@given(
    st.lists(
        st.builds(request, LISTINGS, HOURS, HOURS, st.floats(0.34, 1), TITLES)
        | st.builds(label, LISTINGS, HOURS, TITLES)
        | st.builds(deletion, LISTINGS, HOURS)
        | st.builds(feedback, LISTINGS, HOURS, st.just(False)),
        max_size=20,
    )
)
def test_what_waits_is_the_newest_request_without_an_answer(events: list[Event]) -> None:
    """Against the rule as it is told: newest counts; what came after the listing answers it."""
    expected = []
    for listing in ("l-1", "l-2", "l-3"):
        asked = [
            x for x in events if isinstance(x, ReviewRequest) and x.event.listing_id == listing
        ]
        if not asked:
            continue
        newest = max(reversed(asked), key=lambda each: each.requested_at)
        published, title = newest.event.occurred_at, newest.event.title
        answered = any(
            (isinstance(x, Deletion) and x.listing_id == listing and x.deleted_at >= published)
            or (
                isinstance(x, LabelledEvent)
                and x.listing_id == listing
                and (x.labelled_at >= published or x.title == title)
            )
            for x in events
        )
        expected += [] if answered else [newest]
    found = queue(*events)

    assert sorted(expected, key=str) == sorted(found.waiting(), key=str)
    doubts = [entropy(each.scores) for each in found.waiting()]
    assert doubts == sorted(doubts, reverse=True)
    asked_at = [each.requested_at for each in found.waiting(oldest_first=True)]
    assert asked_at == sorted(asked_at)


@pytest.mark.parametrize(
    ("event", "left"),
    [
        (label("l-1", 3), False),
        (label("l-1", 1), False),  # together with the listing
        (label("l-1", 0), True),  # of the listing as it was before
        (label("l-1", 0, "Habitación privada con balcón"), False),  # published again unchanged
        (label("l-2", 3), True),
        (deletion("l-1", 3), False),
        (deletion("l-1", 0), True),  # it was published once more
        (feedback("l-1", 3, accepted=True), False),
        (feedback("l-1", 3, accepted=False), True),  # what it is, nobody has said
    ],
)
def test_what_strikes_a_request_off(event: Event, left: bool) -> None:
    """Labels and deletions from after the listing was published, and labels of the same words."""
    assert left == bool(waiting(request("l-1", published=1, asked=2), event))


def test_the_order_is_by_doubt_or_by_age() -> None:
    """Most uncertain first; equal ones as they were asked."""
    asked = (
        request("l-1", asked=4, best=0.9),
        request("l-2", asked=3, best=0.4),
        request("l-3", asked=2, best=0.4),
    )

    assert waiting(*asked) == ["l-3", "l-2", "l-1"]
    assert [asked[2], asked[1], asked[0]] == queue(*asked).waiting(oldest_first=True)


def test_one_reason_can_be_chosen() -> None:
    """What was drawn at random is never the most uncertain, and yet must be labelled."""
    doubted, drawn = request("l-1"), request("l-2", reason="random")
    found = queue(doubted, drawn)

    assert [drawn] == found.waiting("random")
    assert [doubted] == found.waiting("uncertain")


def test_a_label_carries_what_the_request_said() -> None:
    """Its listing and propensity, who gave it, and an id that is the same when it is sent again."""
    asked = request()
    first = labelled(asked, "Shared room", "luz", hour(5))
    again = labelled(asked, "Shared room", "luz", hour(6))
    value, header = encode(first)

    assert first == decode(Topic.LABELLED, value, [header])
    assert (first.title, first.language, first.source) == (asked.event.title, "es", "madrid")
    assert (first.origin, first.annotator, first.propensity) == ("person", "luz", 0.25)
    assert first.event_id == again.event_id
    assert first.event_id != labelled(request(asked=3), "Shared room", "luz", hour(5)).event_id


def test_entropy_of_scores() -> None:
    """In nats; a score of 0 adds nothing."""
    assert entropy({"a": 0.5, "b": 0.5, "c": 0.0}) == pytest.approx(math.log(2))
    assert entropy({"a": 1.0}) == 0
