"""
Listings, and messages about them: from CSV files to events on Kafka.

A file has a header line. Columns are found by name, whatever their order and case; others are
ignored. Files that end in `.gz` are unpacked while they are read.
"""

import contextlib
import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

from schemas.codec import Headers, Rejected, decode, encode, listing_text
from schemas.errors import ConfigurationError
from schemas.events import LabelledEvent, ListingEvent
from schemas.topics import Topic

if TYPE_CHECKING:
    import _csv

COLUMNS = {
    "title": ("title", "name"),
    "label": ("label", "room_type"),
    "listing_id": ("listing_id", "id"),
    "description": ("description",),
    "language": ("language",),
    "source": ("source", "city"),
}

Fate = Literal["classified", "dead", "skipped"]


@dataclass(frozen=True, slots=True)
class Listing:
    """A listing, and its kind of room where that is known."""

    listing_id: str
    title: str
    description: str | None = None
    language: str | None = None
    source: str | None = None
    label: str | None = None

    @property
    def text(self) -> str:
        """What is classified and learned of it."""
        return listing_text(self.title, self.description)

    @property
    def domain(self) -> str:
        """Where it comes from, or else its language; empty where neither is known."""
        return self.source or self.language or ""


@dataclass(frozen=True, slots=True)
class Message:
    """
    A message for the topic `listings`, and what must become of it.

    Attributes:
        listing: What it is about; None if nobody could tell from its bytes.
        event_id: None where the message carries none that can be read.
        fate: What a worker must make of it.
        error: Why it must become a dead letter, in the codec's words.
    """

    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    listing: Listing | None = None
    event_id: str | None = None
    fate: Fate = "classified"
    error: str | None = None


def read_listings(path: Path, labels_needed: bool = False) -> Iterator[Listing]:
    """
    Read a CSV file row by row, in its order.

    Args:
        path: A file with a column `title` or `name`; optional are `label` or `room_type`,
            `listing_id` or `id`, `description`, `language`, and `source` or `city`. A row without
            an id gets its line as one.
        labels_needed: The file must have a column of labels (single rows may lack theirs).

    Raises:
        ConfigurationError: The file cannot be read, a column is missing, or a row has fewer fields
            than it needs.
    """
    with _opened(path) as lines:
        rows = csv.reader(lines, strict=True)
        columns = _columns(path, _next_row(path, rows) or [])
        _require(path, columns, ("title", "label") if labels_needed else ("title",))
        yield from _listings(path, rows, columns)


def listing_message(listing: Listing, event_id: str, occurred_at: datetime) -> Message:
    """Say that a listing was published. What the codec would refuse is expected among the dead."""
    event = ListingEvent(
        event_id=event_id,
        listing_id=listing.listing_id,
        title=listing.title,
        description=listing.description,
        language=listing.language,
        occurred_at=occurred_at,
        source=listing.source,
    )
    value, header = encode(event)
    fate, error = _fate(value, (header,))
    return Message(listing.listing_id.encode(), value, (header,), listing, event_id, fate, error)


def labelled_event(
    listing: Listing,
    label: str,
    event_id: str,
    labelled_at: datetime,
    origin: Literal["person", "rule", "import"] = "import",
    propensity: float | None = None,
) -> LabelledEvent:
    """Say what kind of room a listing is."""
    return LabelledEvent(
        event_id=event_id,
        listing_id=listing.listing_id,
        title=listing.title,
        description=listing.description,
        label=label,
        labelled_at=labelled_at,
        origin=origin,
        propensity=propensity,
        language=listing.language,
        source=listing.source,
    )


def _fate(value: bytes, headers: Headers) -> tuple[Fate, str | None]:
    event = decode(Topic.LISTINGS, value, headers)
    return ("dead", event.error) if isinstance(event, Rejected) else ("classified", None)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        file = opener(path, "rb")
    except OSError as error:
        raise ConfigurationError(
            f"Listings {path} cannot be read: {error.strerror or error}. "
            "Name a CSV file, also packed as .gz."
        ) from error
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as lines:
        yield lines


def _next_row(path: Path, rows: "_csv.Reader") -> list[str] | None:
    """The next row, or None at the end."""
    try:
        return next(rows, None)
    except UnicodeDecodeError as error:
        raise _unreadable(path, rows.line_num + 1, f"not UTF-8 ({error.reason})") from error
    except csv.Error as error:
        raise _unreadable(path, rows.line_num, f"not CSV ({error})") from error
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, rows.line_num + 1, f"the file is damaged ({error})") from error


def _unreadable(path: Path, line: int, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"Listings {path}, line {line}: {reason}. Save the file as CSV in UTF-8, one listing a row."
    )


def _columns(path: Path, header: list[str]) -> dict[str, int]:
    """Where each field stands; the first of its names that the header has."""
    if not any(header):
        raise ConfigurationError(
            f"Listings {path} is empty. The first line names the columns, such as: title,label"
        )
    found = [name.strip().lower() for name in header]
    return {
        field: found.index(name)
        for field, names in COLUMNS.items()
        for name in reversed(names)
        if name in found
    }


def _require(path: Path, columns: Mapping[str, int], fields: tuple[str, ...]) -> None:
    missing = [" or ".join(f"'{name}'" for name in COLUMNS[f]) for f in fields if f not in columns]
    if missing:
        raise ConfigurationError(
            f"Listings {path} has no column {' and no column '.join(missing)}. "
            f"Its first line must name the columns; used were: {_used(columns)}."
        )


def _used(columns: Mapping[str, int]) -> str:
    return ", ".join(columns) or "none"


def _listings(path: Path, rows: "_csv.Reader", columns: Mapping[str, int]) -> Iterator[Listing]:
    width = max(columns.values()) + 1
    while (row := _next_row(path, rows)) is not None:
        if not row:
            continue
        if len(row) < width:
            raise _unreadable(
                path, rows.line_num, f"{len(row)} fields, the header has at least {width}"
            )
        yield _listing(row, columns, f"line-{rows.line_num}")


def _listing(row: list[str], columns: Mapping[str, int], name: str) -> Listing:
    fields = {field: row[column].strip() or None for field, column in columns.items()}
    return Listing(
        listing_id=fields.get("listing_id") or name,
        title=row[columns["title"]],
        description=fields.get("description"),
        language=fields.get("language"),
        source=fields.get("source"),
        label=fields.get("label"),
    )
