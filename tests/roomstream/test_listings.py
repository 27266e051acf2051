"""CSV files become listings, and listings messages; what is wrong with a file is said precisely."""

import csv
import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomstream.listings import Listing, labelled_event, listing_message, read_listings
from schemas.codec import decode
from schemas.errors import ConfigurationError
from schemas.events import ListingEvent
from schemas.topics import Topic

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@given(
    titles=st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1)
    )
)
def test_titles_come_back_as_they_were_written(
    titles: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Quotes, commas, line breaks and emojis inside a title survive, in order, packed or not."""
    path = tmp_path_factory.mktemp("csv") / "listings.csv.gz"
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["title", "label"])
        rows.writerows([title, "Private room"] for title in titles)

    assert titles == [listing.title for listing in read_listings(path)]


def test_columns_of_the_published_dumps_are_known(tmp_path: Path) -> None:
    """`name`, `room_type`, `id` and `city` mean title, label, listing id and source."""
    path = written(
        tmp_path / "a.csv",
        "id,city,language,name,description,room_type,price\n"
        '7,madrid,es,"Ático, centro",Con vistas,Entire home/apt,80\n',
    )
    listing = Listing("7", "Ático, centro", "Con vistas", "es", "madrid", "Entire home/apt")

    assert [listing] == list(read_listings(path))


def test_two_columns_are_enough(tmp_path: Path) -> None:
    """A plain title,label file works: the line is the id, and an empty label means not known."""
    path = written(tmp_path / "a.csv", "\ufeffTitle, LABEL\nLoft,Entire home/apt\n\nBunk,\n")

    assert [
        Listing("line-2", "Loft", label="Entire home/apt"),
        Listing("line-4", "Bunk"),
    ] == list(read_listings(path, labels_needed=True))


def test_the_plainer_column_name_wins(tmp_path: Path) -> None:
    """A file with both `title` and `name` is read by `title`."""
    path = written(tmp_path / "a.csv", "name,title\nhost,Loft\n")

    assert [listing.title for listing in read_listings(path)] == ["Loft"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("heading,label\nLoft,x\n", r"no column 'title' or 'name'.*used were: label"),
        ("title,price\nLoft,3\n", r"no column 'label' or 'room_type'.*used were: title"),
        ("price\n3\n", r"no column 'title' or 'name' and no column 'label' or 'room_type'.*none"),
        ("title,label\nLoft\n", "line 2: 1 fields, the header has at least 2"),
        ('title,label\n"Loft"x,y\n', r"line 2: not CSV"),
    ],
)
def test_a_wrong_file_is_told_apart(tmp_path: Path, text: str, message: str) -> None:
    """The message names the file, the line or column, and what was found."""
    path = written(tmp_path / "a.csv", text)

    with pytest.raises(ConfigurationError, match=message) as raised:
        list(read_listings(path, labels_needed=True))
    assert str(path) in str(raised.value)


def test_bytes_that_are_not_utf_8_are_told(tmp_path: Path) -> None:
    """A file in Latin-1 is refused with the line and the way out."""
    path = tmp_path / "a.csv"
    path.write_bytes("title\nHabitación\n".encode("latin-1"))

    with pytest.raises(ConfigurationError, match=r"not UTF-8.*Save the file as CSV in UTF-8"):
        list(read_listings(path))


@pytest.mark.parametrize(
    "damage",
    [b"no gzip at all", gzip.compress(b"title\n" * 9_000, mtime=0)[:-30]],
    ids=["no archive", "cut short"],  # the same in every process: pytest-xdist compares them
)
def test_a_damaged_archive_is_told(tmp_path: Path, damage: bytes) -> None:
    """Neither a file that only looks packed nor half an archive ends in a traceback."""
    path = tmp_path / "a.csv.gz"
    path.write_bytes(damage)

    with pytest.raises(ConfigurationError, match="the file is damaged"):
        list(read_listings(path))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """The path and the cause stand in the message."""
    with pytest.raises(ConfigurationError, match=r"nowhere\.csv cannot be read: No such file"):
        list(read_listings(tmp_path / "nowhere.csv"))


def test_a_listing_becomes_an_event_that_the_codec_reads() -> None:
    """Every field travels, and the key is the listing's id."""
    listing = Listing("7", "Ático", "Con vistas", "es", "madrid", "Entire home/apt")
    message = listing_message(listing, "e-1", NOW)
    event = ListingEvent(
        event_id="e-1",
        listing_id="7",
        title="Ático",
        description="Con vistas",
        language="es",
        occurred_at=NOW,
        source="madrid",
    )

    assert event == decode(Topic.LISTINGS, message.value or b"", message.headers)
    assert (message.key, message.fate) == (b"7", "classified")


@pytest.mark.parametrize(("title", "error"), [(" ", "empty_title"), ("x" * 2_001, "too_long")])
def test_a_row_that_workers_must_refuse_is_foreseen(title: str, error: str) -> None:
    """Real files hold such rows: they count as dead letters, not as missing answers."""
    message = listing_message(Listing("7", title), "e-1", NOW)

    assert ("dead", error) == (message.fate, message.error)


def test_a_label_carries_its_origin_and_propensity() -> None:
    """A label is about the same text as the event, and says how it was chosen."""
    event = labelled_event(
        Listing("7", "Ático", "Con vistas"), "Entire home/apt", "l-1", NOW, "person", 0.25
    )

    assert (
        event.title,
        event.description,
        event.label,
    ) == ("Ático", "Con vistas", "Entire home/apt")
    assert (event.origin, event.propensity) == ("person", 0.25)


def test_a_label_says_where_its_listing_comes_from() -> None:
    """The trainer tells cities and languages apart by it."""
    listing = Listing("7", "Ático", language="es", source="madrid")
    event = labelled_event(listing, "Entire home/apt", "l-1", NOW)

    assert (event.language, event.source) == ("es", "madrid")
