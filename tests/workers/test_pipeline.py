"""Records to outcomes: one each, in order, the same alone as in any window."""

import itertools
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from artefacts.classifier import Classifier
from artefacts.store import Store
from roomstream.broken_messages import BREAKAGES, broken_message
from roomstream.listings import Listing, listing_message
from runtime.dead_letters import read_dead_letter, shortened
from runtime.records import Outbound, Record
from schemas.codec import SCHEMA_HEADER, Rejected, decode
from schemas.events import Classification, ListingEvent, ReviewRequest
from schemas.topics import Topic
from tests.releases import FILLERS, KABOOM, ROOM_TYPES, WORDS, load_tiny
from workers.outcomes import Outcome, Window
from workers.pipeline import Pipeline
from workers.review import Review

AT = datetime(2026, 11, 24, 9, tzinfo=UTC)
TRACE = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """A tiny release that is sure of itself."""
    return load_tiny(Store(f"file://{tmp_path_factory.mktemp('store')}"))


@pytest.fixture(scope="module")
def doubtful(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """A tiny release that gives every label the same score."""
    return load_tiny(Store(f"file://{tmp_path_factory.mktemp('store')}"), scale=0)


def good(
    title: str, listing: str = "l-1", offset: int = 0, description: str | None = None
) -> Record:
    message = listing_message(Listing(listing, title, description), f"e-{offset}", AT)
    return _record(message.key, message.value, message.headers, offset)


def broken(error: str, offset: int = 0) -> Record:
    message = broken_message(error, Listing("l-1", "Loft"), f"e-{offset}", AT)
    return _record(message.key, message.value, message.headers, offset)


def tombstone(offset: int = 0) -> Record:
    return _record(b"l-1", None, (), offset)


def _record(
    key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]], offset: int
) -> Record:
    return Record("p.listings", offset % 3, offset, key, value, tuple(headers), 0)


def run(records: Sequence[Record], classifier: Classifier, share: float = 0.0) -> Window:
    return Pipeline("p.", Review(share)).run(records, classifier, AT)


def answer(outcome: Outcome) -> Classification:
    event = decode(Topic.CLASSIFIED, outcome.messages[0].value or b"", outcome.messages[0].headers)
    assert isinstance(event, Classification)
    return event


def request(outcome: Outcome) -> ReviewRequest:
    event = decode(Topic.REVIEW, outcome.messages[1].value or b"", outcome.messages[1].headers)
    assert isinstance(event, ReviewRequest)
    return event


def letter(message: Outbound) -> Record:
    return Record(message.topic, 0, 0, message.key, message.value, message.headers, 0)


_WORDS = [word for words in WORDS.values() for word in words] + list(FILLERS)
_TITLES = st.lists(st.sampled_from(_WORDS), min_size=1, max_size=30).map(" ".join)
_MAKERS = st.one_of(
    st.tuples(st.just("good"), _TITLES),
    st.tuples(st.just("kaboom"), _TITLES.map(lambda title: f"{KABOOM} {title}")),
    st.tuples(st.just("broken"), st.sampled_from(sorted(BREAKAGES))),
    st.tuples(st.just("tombstone"), st.just("")),
)
_FATES = {"good": "classified", "kaboom": "dead", "broken": "dead", "tombstone": "skipped"}


def _made(kind: str, text: str, offset: int) -> Record:
    if kind == "tombstone":
        return tombstone(offset)
    return broken(text, offset) if kind == "broken" else good(text, f"l-{offset % 5}", offset)


def _cut(records: Sequence[Record], cuts: Sequence[int]) -> Iterator[Sequence[Record]]:
    edges = [0, *sorted(cut % (len(records) + 1) for cut in cuts), len(records)]
    return (records[start:end] for start, end in itertools.pairwise(edges))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(_MAKERS, max_size=40), st.lists(st.integers(0, 100), max_size=4), st.floats(0.01, 1)
)
def test_every_record_has_one_outcome_whatever_the_windows_cut(
    classifier: Classifier, kinds: list[tuple[str, str]], cuts: list[int], share: float
) -> None:
    """In order, of its kind, and the same in one window, in several, or alone."""
    records = [_made(kind, text, offset) for offset, (kind, text) in enumerate(kinds)]
    whole = run(records, classifier, share)
    parts = [o for part in _cut(records, cuts) for o in run(part, classifier, share).outcomes]
    alone = [run([record], classifier, share).outcomes[0] for record in records]

    assert records == [outcome.record for outcome in whole.outcomes]
    assert [_FATES[kind] for kind, _ in kinds] == [outcome.kind for outcome in whole.outcomes]
    assert len(records) == len(parts)
    for ours, other, lonely in zip(whole.outcomes, parts, alone, strict=True):
        _check_messages(ours)
        _check_alike(ours, other)
        _check_alike(ours, lonely)
    assert all(each.real_tokens <= each.padded_tokens for each in whole.encoded)


def _check_alike(ours: Outcome, other: Outcome) -> None:
    """All is the same, but for the last bits of a score, which depend on the padding."""
    for mine, theirs in zip(ours.messages, other.messages, strict=True):
        if ours.kind == "dead":
            assert mine == theirs
            continue
        my_fields, their_fields = (json.loads(message.value or b"") for message in (mine, theirs))
        assert pytest.approx(my_fields.pop("scores"), abs=1e-5) == their_fields.pop("scores")
        assert pytest.approx(my_fields.pop("confidence", 1), abs=1e-5) == (
            their_fields.pop("confidence", 1)
        )
        assert my_fields == their_fields
        assert (mine.topic, mine.key, mine.headers) == (theirs.topic, theirs.key, theirs.headers)
    assert (ours.record, ours.kind, ours.detail) == (other.record, other.kind, other.detail)


def _check_messages(outcome: Outcome) -> None:
    topics = [message.topic for message in outcome.messages]
    if outcome.kind == "classified":
        expected = ["p.classified", "p.review"] if outcome.detail else ["p.classified"]
        assert answer(outcome).input.offset == outcome.record.offset
    else:
        expected = ["p.dead"] if outcome.kind == "dead" else []

    assert expected == topics


@pytest.mark.parametrize("at", [0, 3, 9])
def test_a_text_that_breaks_inference_dies_alone(classifier: Classifier, at: int) -> None:
    """The window is bisected until the culprit is found; its neighbours are answered."""
    records = [good(f"Loft {n}", offset=n) for n in range(9)]
    records.insert(at, good(f"{KABOOM} loft", offset=99))
    window = run(records, classifier)
    dead = read_dead_letter(letter(window.outcomes[at].messages[0]))

    assert ["dead" if n == at else "classified" for n in range(10)] == [
        outcome.kind for outcome in window.outcomes
    ]
    assert (dead.stage, dead.error) == ("infer", "inference")
    assert classifier.manifest.release == dead.release
    assert dead.message


def test_an_answer_says_what_it_is_about(classifier: Classifier) -> None:
    """Event, listing, position of the input, release, time; scores that sum to 1."""
    outcome = run([good("Habitación privada con balcón", "l-7", 41)], classifier).outcomes[0]
    found = answer(outcome)

    assert (found.event_id, found.listing_id, found.label) == ("e-41", "l-7", "Private room")
    assert (
        found.input.topic,
        found.input.partition,
        found.input.offset,
    ) == ("p.listings", 41 % 3, 41)
    assert (classifier.manifest.release, AT) == (found.release, found.classified_at)
    assert list(ROOM_TYPES) == list(found.scores)
    assert pytest.approx(1, abs=1e-5) == sum(found.scores.values())
    assert max(found.scores.values()) == found.confidence == found.scores[found.label]
    assert outcome.messages[0].key == b"l-7"


def test_the_description_counts_too(classifier: Classifier) -> None:
    """A title that says nothing is helped by the listing's text."""
    outcome = run([good("con", description="litera compartida shared bunk")], classifier)

    assert answer(outcome.outcomes[0]).label == "Shared room"


def test_headers_travel_and_the_schema_is_the_outputs_own(doubtful: Classifier) -> None:
    """A trace goes on through answer and review request; neither claims to be a listing event."""
    record = good("Loft")
    record = record._replace(headers=(TRACE, *record.headers, ("x", b"1"), ("x", b"2")))
    classified, review = run([record], doubtful).outcomes[0].messages

    assert (classified.headers) == (
        TRACE,
        ("x", b"1"),
        ("x", b"2"),
        (SCHEMA_HEADER, b"classification/1"),
    )
    assert review.headers == (TRACE, ("x", b"1"), ("x", b"2"), (SCHEMA_HEADER, b"review-request/1"))


def test_the_key_is_the_listing_whatever_the_producer_chose(classifier: Classifier) -> None:
    """Readers find all answers of a listing in one partition."""
    record = good("Loft", "l-7")._replace(key=None)

    assert run([record], classifier).outcomes[0].messages[0].key == b"l-7"


def test_a_doubtful_answer_always_asks_for_review(doubtful: Classifier) -> None:
    """With propensity 1, the whole event and the scores, whatever the random share."""
    outcome = run([good("Loft", "l-7", 5)], doubtful).outcomes[0]
    asked = request(outcome)

    assert answer(outcome).needs_review
    assert (outcome.detail, asked.reason, asked.propensity) == ("uncertain", "uncertain", 1.0)
    assert (asked.event.event_id, asked.event.title) == ("e-5", "Loft")
    assert answer(outcome).scores == asked.scores
    assert (answer(outcome).input, AT) == (asked.input, asked.requested_at)


def test_a_share_of_the_confident_answers_asks_too(classifier: Classifier) -> None:
    """Drawn by position alone: near the share, the same in a repeat, with its propensity."""
    records = [good("Entire loft", offset=n) for n in range(2000)]
    first = run(records, classifier, 0.1).outcomes
    again = run(records, classifier, 0.1).outcomes
    chosen = [outcome for outcome in first if outcome.detail]

    assert 140 < len(chosen) < 260
    assert first == again
    assert {("random", 0.1, False)} == {
        (request(o).reason, request(o).propensity, answer(o).needs_review) for o in chosen
    }


def test_a_budget_asks_about_the_most_uncertain(classifier: Classifier) -> None:
    """In place of the threshold, with the chance of each, the same however windows are cut."""
    words = ("Entire loft", "hotel room", "con", "Entire loft piso")
    records = [good(words[n % 4 if n % 10 else 2], offset=n) for n in range(400)]
    whole, cut = (Pipeline("p.", Review(0.02, 0.1)) for _ in range(2))
    window = whole.run(records, classifier, AT)
    parts = [
        o for part in _cut(records, [7, 60, 200]) for o in cut.run(part, classifier, AT).outcomes
    ]
    asked = [request(o) for o in window.outcomes if o.detail]
    uncertain = [each for each in asked if each.reason == "uncertain"]

    assert [o.detail for o in window.outcomes] == [o.detail for o in parts]
    assert 25 < len(uncertain) < 55
    assert len([each for each in uncertain if each.event.title == "con"]) > 0.9 * len(uncertain)
    assert any(answer(o).needs_review and not o.detail for o in window.outcomes)
    assert all(0.02 <= each.propensity <= 1 for each in asked)
    assert len({each.propensity for each in asked}) > 5
    assert window.review_entropy > 1


def test_exploring_shows_other_labels_and_says_so(classifier: Classifier) -> None:
    """The scores stay the release's, and people are asked about what the release says."""
    records = [good("Entire loft", offset=n) for n in range(500)]
    pipeline = Pipeline("p.", Review(0.5), explore=0.3)
    outcomes = pipeline.run(records, classifier, AT).outcomes
    explored = [each for each in outcomes if each.explored]
    found = [answer(each) for each in outcomes]

    assert 100 < len(explored) < 200
    assert {answer(each).label for each in explored} == set(ROOM_TYPES[1:])
    assert {each.label for each in outcomes} == {"Entire home/apt"}
    assert {request(each).label for each in outcomes if each.detail} == {"Entire home/apt"}
    assert {
        (each.label == "Entire home/apt", round(each.propensity or 1, 9)) for each in found
    } == {
        (True, 0.7),
        (False, 0.1),
    }
    for each in found:
        assert each.confidence == each.scores[each.label]
        assert each.needs_review == (each.confidence < classifier.manifest.review_below)
    assert outcomes == pipeline.run(records, classifier, AT).outcomes


def test_without_exploring_no_propensity_is_written(classifier: Classifier) -> None:
    """The answer is as it was before there was such a field."""
    outcome = run([good("Entire loft")], classifier).outcomes[0]

    assert "propensity" not in json.loads(outcome.messages[0].value or b"{}")


@pytest.mark.parametrize(("share", "asked"), [(0.0, 0), (1.0, 50)])
def test_none_or_all_can_be_asked(classifier: Classifier, share: float, asked: int) -> None:
    """The ends of the share are exact."""
    outcomes = run([good("Loft", offset=n) for n in range(50)], classifier, share).outcomes

    assert asked == sum(bool(outcome.detail) for outcome in outcomes)


@pytest.mark.parametrize("error", sorted(BREAKAGES))
def test_a_dead_letter_keeps_the_original(classifier: Classifier, error: str) -> None:
    """Key, bytes and headers are as they came in; ours say what is wrong and where it was."""
    record = broken(error, offset=4)
    record = record._replace(key=b"\xff\x00", headers=(TRACE, *record.headers))
    outcome = run([record], classifier).outcomes[0]
    dead = read_dead_letter(letter(outcome.messages[0]))

    assert (outcome.kind, outcome.detail) == ("dead", "decode")
    disposition = "systemic" if error == "unknown_schema" else "poison"
    assert outcome.systemic == (disposition == "systemic")
    assert ("decode", error, disposition, 1) == (
        dead.stage,
        dead.error,
        dead.disposition,
        dead.attempts,
    )
    assert (dead.topic, dead.partition, dead.offset) == ("p.listings", 1, 4)
    assert record == dead.original


def test_a_dead_letter_that_is_too_large_is_cut_but_says_where_it_was(
    classifier: Classifier,
) -> None:
    """Headers of others go, ours stay, and what is left is refused again if it is sent back."""
    record = broken("too_large", offset=4)._replace(value=b"x" * 200_000, headers=(TRACE,))
    cut = shortened(run([record], classifier).outcomes[0].messages[0])
    dead = read_dead_letter(letter(cut))

    assert (dead.error, dead.offset, dead.original.key) == ("too_large", 4, record.key)
    assert dead.original.headers == ()
    again = decode(Topic.LISTINGS, dead.original.value or b"", dead.original.headers)
    assert isinstance(again, Rejected)
    assert again.error == "too_large"


def test_an_answer_that_is_too_large_loses_only_headers(classifier: Classifier) -> None:
    """Its input carried a megabyte of headers: the answer itself can still be read."""
    record = good("Loft")
    record = record._replace(headers=(*record.headers, ("x", b"x" * 1_000_000)))
    whole = run([record], classifier).outcomes[0].messages[0]

    assert shortened(whole).value == whole.value
    assert shortened(whole).headers == ((SCHEMA_HEADER, b"classification/1"),)


def test_a_listing_at_the_limits_is_answered(classifier: Classifier) -> None:
    """The longest title and description; what does not fit the release is cut, not refused."""
    outcome = run([good("ñ" * 2000, description="loft " * 4000)], classifier).outcomes[0]

    assert outcome.kind == "classified"
    assert len(outcome.messages[0].value or b"") < 2000


def test_a_review_request_of_the_largest_event_can_be_read(doubtful: Classifier) -> None:
    """A listing near 64 KiB is wrapped in a request that is still a message the project reads."""
    description = "ñ" * 20_000
    record = good('"' * 2000, description=description)
    padding = {**json.loads(record.value or b"{}"), "unknown": "x" * 15_000}
    record = record._replace(value=json.dumps(padding, ensure_ascii=False).encode())
    outcome = run([record], doubtful).outcomes[0]

    assert len(record.value or b"") < 64 * 1024
    assert description == request(outcome).event.description


def test_times_are_measured_by_stage(classifier: Classifier) -> None:
    """Decode, tokenise and infer; a window of nothing to answer has no inference."""
    full = run([good("Loft"), good(f"{KABOOM}")], classifier)
    empty = run([tombstone(), broken("not_json")], classifier)

    assert {"decode", "tokenise", "infer"} == set(full.stage_seconds)
    assert {"decode"} == set(empty.stage_seconds)
    assert empty.encoded == []


def test_an_empty_window_is_no_trouble(classifier: Classifier) -> None:
    """Nothing in, nothing out."""
    assert run([], classifier).outcomes == []


def test_a_listing_event_is_read_as_the_producer_wrote_it(doubtful: Classifier) -> None:
    """The event inside a review request is the one that came in."""
    record = good("Loft", "l-9", 8, description="con vistas")
    sent = decode(Topic.LISTINGS, record.value or b"", record.headers)

    assert isinstance(sent, ListingEvent)
    assert sent == request(run([record], doubtful).outcomes[0]).event
