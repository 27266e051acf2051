"""Challengers answer their share, in the place of the live release or beside it, and never harm it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from artefacts.classifier import Classifier
from artefacts.errors import InferenceError
from artefacts.graphs import Head
from artefacts.store import Store
from roomstream.listings import Listing, listing_message
from runtime.records import Record
from schemas.codec import decode
from schemas.events import Classification
from schemas.topics import Topic
from tests.releases import KABOOM, ROOM_TYPES, load_tiny, tiny_head
from workers.outcomes import Outcome, Window
from workers.pipeline import Pipeline
from workers.review import Review
from workers.trials import Challenger

AT = datetime(2026, 11, 25, 9, tzinfo=UTC)
TITLES = ("Entire loft", "Habitación privada", "litera compartida", "hotel suite", KABOOM)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(f"file://{tmp_path_factory.mktemp('store')}")


@pytest.fixture(scope="module")
def live(store: Store) -> Classifier:
    return load_tiny(store)


@pytest.fixture(scope="module")
def other(store: Store) -> Classifier:
    """A release that answers otherwise: to it everything is what stands first."""
    found = load_tiny(store, scale=-12)
    assert found.predict(["Entire loft"])[0].label != ROOM_TYPES[0]
    return found


class _Broken(Head):
    """A head that fails at every batch."""

    def __init__(self, error: Exception) -> None:
        super().__init__(tiny_head())
        self._error = error

    def __call__(self, *_: object) -> tuple[object, object]:  # type: ignore[override]
        raise self._error


def records(titles: Sequence[str], listings: Sequence[str] | None = None) -> list[Record]:
    found = []
    for number, title in enumerate(titles):
        listing = listings[number] if listings else f"l-{number}"
        message = listing_message(Listing(listing, title), f"e-{number}", AT)
        found.append(
            Record("p.listings", 0, number, message.key, message.value, message.headers, 0)
        )
    return found


def run(live: Classifier, found: Sequence[Record], *challengers: Challenger) -> Window:
    return Pipeline("p.", Review(0.0)).run(found, live, AT, challengers)


def answers(outcome: Outcome) -> list[Classification]:
    """What went to `classified`, then what went to `classified.shadow`."""
    found = []
    for topic in (Topic.CLASSIFIED, Topic.SHADOW):
        for message in outcome.messages:
            if message.topic == topic.named("p."):
                event = decode(topic, message.value or b"", message.headers)
                assert isinstance(event, Classification)
                found.append(event)
    return found


def without_shadow(outcomes: Sequence[Outcome]) -> list[Outcome]:
    shadow = Topic.SHADOW.named("p.")
    return [
        replace(each, messages=tuple(m for m in each.messages if m.topic != shadow))
        for each in outcomes
    ]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from(TITLES), max_size=12), st.floats(0, 1))
def test_a_shadow_changes_nothing_of_the_answers(
    live: Classifier, other: Classifier, titles: list[str], share: float
) -> None:
    """Its own stand beside them, of its share of what could be answered, and name it."""
    shadow = Challenger("shadow", share, other)
    found = records(titles)
    alone, window = run(live, found), run(live, found, shadow)
    taken = [n for n, title in enumerate(titles) if shadow.takes(f"l-{n}") and title != KABOOM]
    shadowed = [n for n, outcome in enumerate(window.outcomes) if len(answers(outcome)) == 2]

    assert without_shadow(window.outcomes) == alone.outcomes
    assert taken == shadowed
    assert {other.manifest.release} >= {answers(window.outcomes[n])[1].release for n in shadowed}
    assert sum(window.tried().values()) == len(taken)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from(TITLES), max_size=12), st.floats(0, 1))
def test_a_canary_answers_its_share(
    live: Classifier, other: Classifier, titles: list[str], share: float
) -> None:
    """One answer each, by the release that it names; the rest as without it, and so what breaks both."""
    canary = Challenger("canary", share, other)
    found = records(titles)
    alone, window = run(live, found), run(live, found, canary)
    for number, (before, after) in enumerate(zip(alone.outcomes, window.outcomes, strict=True)):
        if before.kind == "dead" or not canary.takes(f"l-{number}"):
            assert before.kind == after.kind
        else:
            assert len(answers(after)) == 1
    poisoned = [n for n, t in enumerate(titles) if t == KABOOM and canary.takes(f"l-{n}")]
    named = {
        number: answers(outcome)[0].release
        for number, outcome in enumerate(window.outcomes)
        if outcome.kind == "classified"
    }
    by_canary = [n for n in named if canary.takes(f"l-{n}") and not poisoned]

    assert [n for n, release in named.items() if release == other.manifest.release] == by_canary
    assert not any(trial.fault for trial in window.trials.values())


@pytest.mark.parametrize("channel", ["shadow", "canary"])
@pytest.mark.parametrize("error", [InferenceError("rejected"), ValueError("anything")])
def test_a_challenger_that_fails_costs_no_answer(
    channel: str, error: Exception, live: Classifier
) -> None:
    """The window is as without it, and the trial says why."""
    broken = Challenger(channel, 1.0, replace(live, head=_Broken(error)))
    found = records(TITLES[:4])
    window = run(live, found, broken)
    (trial,) = window.trials.values()

    assert run(live, found).outcomes == window.outcomes
    assert (trial.failed, trial.listings) == (4, 0)
    assert type(error).__name__ in trial.fault
    assert {(channel, "failed"): 4} == window.tried()


def test_a_shadow_and_a_canary_together(live: Classifier, other: Classifier) -> None:
    """Shares nest: the larger one has every listing of the smaller."""
    found = records([TITLES[n % 4] for n in range(200)])
    canary, shadow = Challenger("canary", 0.1, other), Challenger("shadow", 0.4, other)
    window = run(live, found, shadow, canary)
    by_canary = {
        n for n, o in enumerate(window.outcomes) if answers(o)[0].release == other.manifest.release
    }
    by_shadow = {n for n, o in enumerate(window.outcomes) if len(answers(o)) == 2}

    assert 5 < len(by_canary) < 40 < len(by_shadow) < 120
    assert by_canary < by_shadow


def test_a_listing_stays_with_its_challenger(live: Classifier) -> None:
    """By its id alone, whatever the event; ends of the share are exact."""
    ids = [f"l-{n}" for n in range(500)]

    def taken(share: float) -> set[str]:
        return {each for each in ids if Challenger("canary", share, live).takes(each)}

    assert taken(0) == set()
    assert taken(1) == set(ids)
    assert taken(0.3) == taken(0.3) < taken(0.5)
    assert abs(len(taken(0.3)) - 150) < 45


def test_disagreement_is_counted(live: Classifier, other: Classifier) -> None:
    """What a shadow says otherwise is the first thing to look at."""
    found = records(TITLES[:4])

    assert run(live, found, Challenger("shadow", 1, live)).tried() == {("shadow", "agrees"): 4}
    assert run(live, found, Challenger("shadow", 1, other)).tried() == {("shadow", "differs"): 4}
