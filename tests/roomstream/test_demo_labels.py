"""Who labels what in a demo: steadily, once each, with the true probability of being chosen."""

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from roomstream.demo.labels import Labels
from roomstream.demo.messages import load_messages, taxonomy
from roomstream.demo.options import DemoOptions
from roomstream.demo.view import Lines, Progress, Sample, panel
from roomstream.listing_wording import ROOM_TYPES
from schemas.errors import ConfigurationError
from schemas.events import InputPosition, ListingEvent, ReviewRequest

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


def request(number: int, propensity: float = 0.5) -> ReviewRequest:
    event = ListingEvent(
        event_id=f"e-{number}", listing_id=f"l-{number}", title="Loft", occurred_at=NOW
    )
    return ReviewRequest(
        event=event,
        label="Private room",
        scores={"Private room": 1.0},
        reason="random",
        propensity=propensity,
        release="r-1",
        input=InputPosition(topic="listings", partition=0, offset=number),
        requested_at=NOW,
    )


@pytest.mark.parametrize("asked", [0.12, 0.5, 1.0])
@given(seed=st.integers(0, 10_000))
def test_the_wanted_share_is_labelled_whatever_is_asked(asked: float, seed: int) -> None:
    """Whether workers doubt everything or little, about as many labels come, all along."""
    labels, every = Labels(share=0.3, seed=seed), round(1 / asked)
    for start in range(0, 2_000, 40):
        numbers = range(start, start + 40)
        for number in numbers:
            labels.imports(f"e-{number}")
        labels.review([request(n) for n in numbers if n % every == 0], answered=start + 40)
        if start >= 1_000:
            assert labels.sent / (start + 40) == pytest.approx(0.3, abs=0.08)


def test_nothing_is_labelled_twice() -> None:
    """A repeated request, or one for an imported label, is passed over."""
    labels = Labels(share=1.0, seed=1)
    chosen = labels.review([request(n) for n in range(30)], answered=1_000)
    again = labels.review([request(n) for n in range(30)], answered=1_000)

    assert len(chosen) == 30
    assert again == []


def test_propensity_counts_every_draw() -> None:
    """The chance of a label: not imported, then asked for, then taken."""
    labels = Labels(share=0.3, seed=1)
    chosen = labels.review([request(n, propensity=0.5) for n in range(100)], answered=200)
    taken = 200 * 0.1 / 100

    assert chosen
    assert all(propensity == pytest.approx((1 - 0.2) * 0.5 * taken) for _, propensity in chosen)


def test_a_file_of_the_four_kinds_keeps_all_four(tmp_path: Path) -> None:
    """A kind that the file does not hold may still come later."""
    path = tmp_path / "a.csv"
    path.write_text("title,label\nLoft,Entire home/apt\nBunk,Shared room\n")
    messages = load_messages(DemoOptions(listings=path))

    assert list(ROOM_TYPES) == taxonomy(messages)
    assert [message.event_id for message in messages] == ["e-000000", "e-000001"]


def test_a_file_with_labels_of_its_own_brings_its_taxonomy(tmp_path: Path) -> None:
    """In the order of their first appearance, up to the number of events that are sent."""
    path = tmp_path / "a.csv"
    path.write_text("title,label\nLoft,urban\nBarn,rural\nTent,\nBoat,water\n")

    assert taxonomy(load_messages(DemoOptions(listings=path, events=3))) == ["urban", "rural"]


def test_a_file_without_a_single_label_cannot_teach(tmp_path: Path) -> None:
    """The demo says so before it starts anything."""
    path = tmp_path / "a.csv"
    path.write_text("title,label\nLoft,\n")

    with pytest.raises(ConfigurationError, match="holds no labelled row"):
        load_messages(DemoOptions(listings=path))


def test_output_that_is_no_terminal_gets_a_line_now_and_then() -> None:
    """A log of a demo is short: each step, and figures every five seconds."""
    text, now = io.StringIO(), [0.0]
    lines = Lines(Console(file=text, width=200), clock=lambda: now[0])
    progress = Progress(step="Listings arrive", messages=100)
    for second in range(12):
        now[0], progress.sent = float(second), second
        lines.update(progress)
    written = text.getvalue().splitlines()

    assert written[0] == "Listings arrive"
    assert [line.split("/")[0] for line in written[1:]] == ["5", "10"]


def test_the_panel_shows_titles_as_they_are() -> None:
    """A title in square brackets is text, not a command to the terminal."""
    progress = Progress(step="Listings arrive")
    progress.samples.append(Sample("en", "[red]Loft[/]", "Private room", 0.8, "Hotel room"))
    text = io.StringIO()
    Console(file=text, width=100).print(panel(progress))

    assert "[red]Loft[/]" in text.getvalue()
    assert "✗" in text.getvalue()
