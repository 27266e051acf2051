"""The table of topics is complete, and every error ends a process with its documented code."""

import re
from pathlib import Path

import pytest

from artefacts import errors as artefact_errors
from schemas import errors, events
from schemas.codec import schema_name
from schemas.errors import ConfigurationError, ExitCode, RoomstreamError, TryAgain
from schemas.events import (
    MAX_PAYLOAD_BYTES,
    Classification,
    Deletion,
    Event,
    Feedback,
    FineTuneRequest,
    InputPosition,
    LabelledEvent,
    ListingEvent,
    ReleaseAnnouncement,
    ReviewRequest,
    TrainerClaim,
)
from schemas.topics import DAY_MS, FOREVER_MS, TOPICS, Topic, TopicSpec

SPECS = {spec.topic: spec for spec in TOPICS}


def test_every_topic_stands_in_the_table_once() -> None:
    """No role is without a row, and none has two."""
    assert list(Topic) == [spec.topic for spec in TOPICS]


def test_names_carry_the_prefix() -> None:
    """A deployment puts one prefix before all names, or none."""
    assert {f"eu.{topic.value}" for topic in Topic} == {topic.named("eu.") for topic in Topic}
    assert Topic.LISTINGS.named("") == "listings"


@pytest.mark.parametrize("topic", Topic)
def test_names_are_legal_on_every_broker(topic: Topic) -> None:
    """Kafka takes letters, digits, dots, hyphens and underscores, and mixes up dots and underscores."""
    assert re.fullmatch(r"[a-z.]+", topic.value)


def test_every_event_is_on_exactly_one_topic() -> None:
    """What is in the contract travels, and its topic says what it is."""
    ours = [kind for kind in vars(events).values() if isinstance(kind, type)]
    expected = {kind for kind in ours if issubclass(kind, Event)} - {Event, InputPosition}
    listed = [event for spec in TOPICS if spec.topic != Topic.SHADOW for event in spec.events]

    assert expected == set(listed)
    assert len(listed) == len(expected)


def test_what_travels_where() -> None:
    """Readers of a topic find these events, the first of them where no header says otherwise."""
    assert {
        Topic.LISTINGS: (ListingEvent,),
        Topic.CLASSIFIED: (Classification,),
        Topic.SHADOW: (Classification,),
        Topic.REVIEW: (ReviewRequest,),
        Topic.LABELLED: (LabelledEvent, Feedback),
        Topic.DELETIONS: (Deletion,),
        Topic.RELEASES: (ReleaseAnnouncement, TrainerClaim, FineTuneRequest),
        Topic.DEAD: (),
    } == {spec.topic: spec.events for spec in TOPICS}


def test_schema_names_are_distinct() -> None:
    """The `schema` header tells all events apart."""
    names = [schema_name(event) for event in {event for spec in TOPICS for event in spec.events}]

    assert len(names) == len(set(names))


def test_releases_are_compacted_into_one_partition() -> None:
    """Every worker reads all announcements in one order, and the last of a channel is never lost."""
    spec = SPECS[Topic.RELEASES]
    key = "channel; of claims 'trainer', of requests to fine-tune 'fine-tune'"

    assert (spec.compacted, spec.partitions, spec.key) == (True, 1, key)


def test_only_releases_are_compacted() -> None:
    """A compacted topic of listings would lose all but the last event of each."""
    assert [spec.topic for spec in TOPICS if spec.compacted] == [Topic.RELEASES]


@pytest.mark.parametrize("topic", [Topic.LABELLED, Topic.DELETIONS])
def test_what_a_trainer_is_made_of_is_kept_for_ever(topic: Topic) -> None:
    """Labels are the ground truth; whoever reads them all again must know which listings are gone."""
    assert SPECS[topic].retention_ms == FOREVER_MS == -1


@pytest.mark.parametrize("topic", [Topic.CLASSIFIED, Topic.DEAD])
def test_results_outlive_their_listings(topic: Topic) -> None:
    """By more than the day that a segment of listings lasts: else the audit would miss them."""
    assert SPECS[topic].retention_ms - SPECS[Topic.LISTINGS].retention_ms > DAY_MS


def test_what_people_must_see_to_is_kept_for_a_month() -> None:
    """A dead letter outlives a holiday."""
    assert SPECS[Topic.DEAD].retention_ms == 30 * DAY_MS


@pytest.mark.parametrize("spec", TOPICS, ids=lambda spec: spec.topic)
def test_every_row_is_explained(spec: TopicSpec) -> None:
    """The description of a topic ends up in AsyncAPI."""
    assert spec.doc.endswith(".")
    assert spec.key
    assert spec.made_by
    assert spec.max_payload_bytes >= MAX_PAYLOAD_BYTES


# --- errors ---

TREE: dict[type[RoomstreamError], tuple[type[Exception], int]] = {
    RoomstreamError: (Exception, 1),
    ConfigurationError: (RoomstreamError, 2),
    TryAgain: (RoomstreamError, 75),
    artefact_errors.StoreError: (TryAgain, 75),
    artefact_errors.InferenceError: (RoomstreamError, 1),
    artefact_errors.ReleaseError: (RoomstreamError, 3),
    artefact_errors.ReleaseMissing: (artefact_errors.ReleaseError, 3),
    artefact_errors.DigestMismatch: (artefact_errors.ReleaseError, 3),
    artefact_errors.ReleaseRefused: (artefact_errors.ReleaseError, 3),
}


@pytest.mark.parametrize("error", TREE, ids=lambda error: error.__name__)
def test_an_error_has_its_place_and_code(error: type[RoomstreamError]) -> None:
    """Who catches a base catches what the tree draws under it; supervisors go by the code."""
    base, code = TREE[error]

    assert (base,) == error.__bases__
    assert code == error.exit_code
    assert isinstance(error.exit_code, ExitCode)


def test_the_trees_draw_every_error() -> None:
    """The docstrings of both modules name all errors that these define."""
    for module in (errors, artefact_errors):
        own = {
            kind.__name__
            for kind in vars(module).values()
            if isinstance(kind, type)
            and issubclass(kind, RoomstreamError)
            and kind.__module__ == module.__name__
        }
        assert own <= set(re.findall(r"\w+", module.__doc__ or ""))


def test_the_readme_lists_the_exit_codes() -> None:
    """Operators look them up there."""
    readme = Path(__file__).parents[2] / "README.md"
    if not readme.exists():
        pytest.skip("the tests do not run in a checkout, so that there is no README.md")
    listed = re.findall(r"^\| (\d+) \|", readme.read_text(), re.MULTILINE)

    assert [str(code.value) for code in ExitCode] == listed
