"""`roomstream review` as a person uses it: a real terminal, a real broker, key presses."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from roomstream.cli import app
from runtime.settings import KafkaSettings, settings_environment
from schemas.codec import decode
from schemas.errors import ConfigurationError
from schemas.events import Event, LabelledEvent
from schemas.topics import Topic
from tests.integration.terminal import Terminal
from tests.kafka_io import message, read_until, send
from tests.roomstream.requests import LABELS, deletion, label, request
from tests.workers.brokers import ON_EMBEDDED


@pytest.fixture
def environment(kafka_settings: KafkaSettings, topics: str) -> dict[str, str]:
    """How the command finds the topics, with five requests on them of which three wait."""
    titles = ("Habitación privada con balcón", "Whole flat near the market", "Litera en dormitorio")
    asked = [
        request(f"l-{number}", best=0.4 + 0.1 * number, title=title)
        for number, title in enumerate(titles)
    ]
    asked += [request("l-8", title="gone"), request("l-9", title="known"), asked[0]]
    answers: list[tuple[Topic, Event, str]] = [
        (Topic.LABELLED, label("l-9", 4), "l-9"),
        (Topic.DELETIONS, deletion("l-8", 4), "l-8"),
        *((Topic.REVIEW, each, each.event.listing_id) for each in asked),
    ]
    for topic, event, key in answers:
        send(kafka_settings, topic.named(topics), [message(event, key)])
    send(kafka_settings, Topic.REVIEW.named(topics), [(b"k", b"no request", []), (b"k", None, [])])
    return {**settings_environment(kafka_settings), "ROOMSTREAM_TOPIC_PREFIX": topics}


@ON_EMBEDDED
def test_a_person_labels_the_queue(
    environment: dict[str, str], kafka_settings: KafkaSettings, topics: str
) -> None:
    """Look, ask for help, label, take back, type a class, skip, quit: what stands is sent, once."""
    with Terminal(environment, "review", "--annotator", "luz") as terminal:
        first = terminal.wait("q quit")
        help_ = terminal.press("?", until="Any key goes back")
        terminal.press(" ", until="1 of 3")
        terminal.press("1", until="2 of 3 · 1 labelled")
        terminal.press("u", until="1 of 3 · 0 labelled")
        terminal.press("2", until="2 of 3 · 1 labelled")
        # An arrow means nothing, and what is typed ahead is not lost.
        terminal.press("\x1b[AnÁticp\x7fo\n", until="3 of 3 · 2 labelled")
        terminal.press("s", until="All 3 listings are done")
        end = terminal.press("q", until="are left")
        assert terminal.ended() == 0
    records = read_until(kafka_settings, topics, Topic.LABELLED, lambda found: len(found) >= 3)
    given = [decode(Topic.LABELLED, each.value or b"", each.headers) for each in records]
    ours = {
        each.listing_id: (each.label, each.annotator, each.origin, each.propensity)
        for each in given
        if isinstance(each, LabelledEvent) and each.origin == "person"
    }

    assert "1 of 3 · 0 labelled, 0 skipped" in first
    assert "Habitación privada con balcón" in first
    assert "--reason random" in help_
    assert "2 labels sent, 1 listings are left" in end
    assert len(given) == 3
    assert ours == {
        "l-0": (LABELS[1], "luz", "person", 0.25),
        "l-1": ("Ático", "luz", "person", 0.25),
    }
    assert [each["event"]["listing_id"] for each in listed(environment)] == ["l-2"]


@ON_EMBEDDED
def test_the_queue_is_listed_for_programs(environment: dict[str, str]) -> None:
    """The most uncertain first, or the oldest; nothing that was labelled or deleted."""
    facts = listed(environment)

    assert [each["event"]["listing_id"] for each in facts] == ["l-0", "l-1", "l-2"]
    assert facts[0]["entropy"] > facts[1]["entropy"] > facts[2]["entropy"]
    assert (facts[0]["propensity"], facts[0]["reason"]) == (0.25, "uncertain")


def test_without_a_terminal_it_says_what_to_do() -> None:
    """Exit code 2, before anything is read."""
    done = CliRunner().invoke(app, ["review", "--bootstrap-servers", "nowhere:1"])

    assert isinstance(done.exception, ConfigurationError)
    assert done.exception.exit_code == 2
    assert "no terminal" in str(done.exception)
    assert "roomstream review --json" in str(done.exception)


def listed(environment: dict[str, str]) -> list[dict[str, Any]]:
    """What `--json` prints."""
    done = CliRunner().invoke(app, ["review", "--json"], env=environment)
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found
