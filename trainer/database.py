"""
The trainer's one SQLite file: what was learned, together with the offsets that it was learned from.

Everything that a mini-batch changes is written in one transaction, so that a crash at any point leaves
either all or nothing of it: nothing is learned twice and nothing is skipped.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from artefacts.manifest import OffsetRange
from schemas.errors import ConfigurationError
from trainer.calibration import Seen
from trainer.candidates import Candidates
from trainer.database_file import EPOCH, translated
from trainer.intake import Label
from trainer.kept import Kept
from trainer.opinions import Opinions
from trainer.prequential import Prediction
from trainer.suspects import Suspects
from trainer.taught import Taught
from trainer.tombstones import Tombstones
from trainer.watched import Watched

VERSION = 5

_SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE learner (              -- what was learned, in parts: a mini-batch changes few of them
    part TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE offsets (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    first INTEGER NOT NULL,
    next INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)
) WITHOUT ROWID;
CREATE TABLE labels (               -- one row per label event, never its text
    seq INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    listing_id TEXT,                -- NULL once the listing was deleted
    label TEXT NOT NULL,
    origin TEXT NOT NULL,
    propensity REAL,
    domain TEXT NOT NULL,           -- source or else language; empty where neither is known
    labelled_at TEXT NOT NULL,
    arrived_ms INTEGER NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    held_out INTEGER NOT NULL,
    predicted TEXT,                 -- what the learner said before it learned this label
    annotator TEXT NOT NULL         -- who gave it; empty where nobody said
);
CREATE INDEX labels_of_listing ON labels (listing_id);
CREATE TABLE suspects (            -- labels that are held back: neither learned nor judged by
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    listing_id TEXT NOT NULL,
    text TEXT NOT NULL,
    label TEXT NOT NULL,
    origin TEXT NOT NULL,
    labelled_at TEXT NOT NULL,
    propensity REAL,
    domain TEXT NOT NULL,
    annotator TEXT NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    arrived_ms INTEGER NOT NULL,
    said TEXT NOT NULL,             -- what the learner said instead …
    confidence REAL NOT NULL,       -- … with this score …
    score REAL NOT NULL             -- … and this one for the label
);
CREATE INDEX suspects_of_listing ON suspects (listing_id);
CREATE TABLE opinions (             -- what people said of labels that were shown to them: these teach …
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    listing_id TEXT,                -- NULL once the listing was deleted
    label TEXT NOT NULL,
    accepted INTEGER NOT NULL,
    propensity REAL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    learned INTEGER NOT NULL,
    text TEXT                       -- of the newest that were learned, to learn them anew
);                                  -- … and nothing is judged by them, so that they are no labels
CREATE INDEX opinions_of_listing ON opinions (listing_id);
CREATE INDEX opinions_with_text ON opinions (number) WHERE text IS NOT NULL;
CREATE VIEW predictions AS          -- what was said of every label that came, whatever became of it
    SELECT label, predicted, domain, arrived_ms, seq FROM labels
    UNION ALL SELECT label, said, domain, arrived_ms, number FROM suspects;
CREATE TABLE items (                -- replay buffer and hold-out
    listing_id TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    held_out INTEGER NOT NULL,
    text TEXT NOT NULL,
    label TEXT NOT NULL,
    domain TEXT NOT NULL,
    features BLOB NOT NULL,         -- float32 (dim,)
    logits BLOB                     -- float32 (classes,): what the learner said before it learned it;
                                    -- not a number for classes without an example then
);
CREATE INDEX items_by_age ON items (held_out, seq);
CREATE TABLE taught (               -- what the learner was taught since the encoder changed, to take back
    seq INTEGER PRIMARY KEY,        -- of the label
    features BLOB NOT NULL          -- float32 (dim,)
);
CREATE TABLE tuned (                -- what fine-tuned encoders have seen
    encoding TEXT PRIMARY KEY,      -- LiveRelease.encoding
    seqs TEXT NOT NULL              -- the labels, as a JSON array, of it and those that it comes from
);
CREATE TABLE deleted (              -- learned labels and opinions whose listing was deleted since
    number INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    seq INTEGER,                    -- of the label; NULL of an opinion, which no encoder learns from
    inside INTEGER NOT NULL,        -- whether the learner still has something of it
    after INTEGER NOT NULL,         -- how many lessons there were before the deletion
    release TEXT                    -- the first one without it
);
CREATE INDEX deleted_inside ON deleted (after) WHERE inside;
CREATE TABLE tombstones (           -- listings that were deleted
    listing BLOB PRIMARY KEY,       -- SHA-256 of its id
    deleted_at REAL NOT NULL        -- for the last time, in seconds since 1970
) WITHOUT ROWID;
CREATE TABLE candidates (
    release TEXT PRIMARY KEY,
    created_at TEXT NOT NULL,
    outcome TEXT NOT NULL,          -- announced, refused, challenger or dropped
    last_seq INTEGER NOT NULL,      -- the last label that it learned
    manifest BLOB NOT NULL
);
CREATE TABLE drifts (number INTEGER PRIMARY KEY, event BLOB NOT NULL);
CREATE TABLE watches (              -- who watches for the next drift
    domain TEXT PRIMARY KEY,
    heard INTEGER NOT NULL,         -- grows with every mini-batch that has labels of the domain
    detectors BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE outcomes (             -- the last labels that they have seen, suspects among them
    number INTEGER PRIMARY KEY,
    domain TEXT NOT NULL,
    label TEXT NOT NULL,
    predicted TEXT NOT NULL,
    labelled_at TEXT NOT NULL
);
CREATE INDEX outcomes_of_domain ON outcomes (domain, number);
"""


class Database:
    """
    Opens the file, making it if it is new. Whoever writes to it holds its `DatabaseLock`.

    Args:
        path: The file.

    Attributes:
        kept: The listings of the replay buffer and of the hold-out.
        opinions: What people said of labels that were shown to them.
        candidates: Releases that were made.
        taught: What the learner can take back, and which deleted labels it had learned.
        suspects: Labels that are held back.
        watched: What drift detection remembers.
        tombstones: Listings that were deleted.

    Raises:
        ConfigurationError: The file is of another version.
        TryAgain: The disk is full.
        RoomstreamError: The file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with translated(self._path):
            self._sql = sqlite3.connect(path, isolation_level=None)
            self._prepare()
        self.kept = Kept(self._rows)
        self.opinions = Opinions(self._rows)
        self.candidates = Candidates(self._rows)
        self.taught = Taught(self._rows)
        self.suspects = Suspects(self._rows)
        self.watched = Watched(self._rows)
        self.tombstones = Tombstones(self._rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sql.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """
        Write all of a block or nothing of it; it is on the disk when this ends.

        Raises:
            TryAgain: The disk is full.
            RoomstreamError: The file is damaged.
        """
        with translated(self._path):
            self._sql.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._sql.execute("COMMIT")
            except BaseException:
                if self._sql.in_transaction:  # a full disk has ended it already
                    self._sql.execute("ROLLBACK")
                raise

    def fact(self, name: str) -> bytes | None:
        """A value that was remembered."""
        rows = self._rows("SELECT value FROM facts WHERE name = ?", name)
        return bytes(rows[0][0]) if rows else None

    def remember(self, name: str, value: bytes) -> None:
        """Keep a value."""
        self._sql.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def learner_state(self) -> dict[str, bytes]:
        """The parts of the learner's state; none before there was one."""
        return dict(self._rows("SELECT part, value FROM learner"))

    def keep_learner(self, parts: Mapping[str, bytes]) -> None:
        """Keep parts of the learner's state."""
        self._sql.executemany("INSERT OR REPLACE INTO learner VALUES (?, ?)", parts.items())

    def drop_learner(self) -> None:
        """Keep nothing of the learner's state: another one begins."""
        self._sql.execute("DELETE FROM learner")

    def led_under(self, epoch: int) -> None:
        """Remember the epoch of the trainer that writes from now on."""
        with self.transaction():
            self.remember(EPOCH, str(epoch).encode())

    def reads(self, topic: str, identity: str) -> None:
        """
        Forget how far a topic was read if it is another one of the same name by now.

        Args:
            topic: Its name on the broker.
            identity: What tells it from others of this name.
        """
        name = f"identity of {topic}"
        known = self.fact(name)
        with self.transaction():
            if known is not None and known.decode() != identity:
                self._sql.execute("DELETE FROM offsets WHERE topic = ?", (topic,))
            self.remember(name, identity.encode())

    def ranges(self) -> list[OffsetRange]:
        """The offsets that were handled, by partition."""
        rows = self._rows("SELECT topic, partition, first, next FROM offsets")
        return [OffsetRange(*row) for row in rows]

    def advance(self, topic: str, partition: int, first: int, following: int) -> None:
        """Note that the offsets from `first` to `following` - 1 were handled."""
        self._sql.execute(
            "INSERT INTO offsets VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET next = excluded.next",
            (topic, partition, first, following),
        )

    def known(self, event_ids: Sequence[str]) -> set[str]:
        """Which of these events, labels or feedback, were taken in before."""
        return {
            event
            for event in event_ids
            if self._rows(
                "SELECT 1 FROM labels WHERE event_id = ? UNION ALL "
                "SELECT 1 FROM suspects WHERE event_id = ? UNION ALL "
                "SELECT 1 FROM opinions WHERE event_id = ?",
                event,
                event,
                event,
            )
        }

    def confirmed(self, label: Label) -> bool:
        """Whether another label event says the same of its listing, learned or not."""
        rows = self._said_of(label.listing_id)
        return any(
            said == label.label and (not label.annotator or who != label.annotator)
            for said, who in rows
        )

    def contradicted(self, label: Label) -> bool:
        """Whether another annotator's label says otherwise of its listing, learned or not."""
        rows = self._said_of(label.listing_id)
        return any(said != label.label and who not in ("", label.annotator) for said, who in rows)

    def _said_of(self, listing_id: str) -> list[tuple[str, str]]:
        """Label and annotator of every label of a listing."""
        return self._rows(
            "SELECT label, annotator FROM labels WHERE listing_id = ? UNION ALL "
            "SELECT label, annotator FROM suspects WHERE listing_id = ?",
            listing_id,
            listing_id,
        )

    def add_label(self, label: Label, held_out: bool, predicted: str | None) -> int:
        """Keep a label event; return its number, which grows with every label."""
        record = label.record
        cursor = self._sql.execute(
            "INSERT INTO labels VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                label.event_id,
                label.listing_id,
                label.label,
                label.origin,
                label.propensity,
                label.domain,
                label.labelled_at.isoformat(),
                record.timestamp_ms,
                record.topic,
                record.partition,
                record.offset,
                held_out,
                predicted,
                label.annotator,
            ),
        )
        return int(cursor.lastrowid or 0)

    def held_out(self, listing_id: str) -> bool | None:
        """
        Whether the labels of a listing were held out; None for one of which nothing was taken in.

        One that was learned from feedback is never held out.
        """
        rows = self._rows(
            "SELECT held_out FROM labels WHERE listing_id = ? UNION ALL "
            "SELECT 0 FROM opinions WHERE listing_id = ? AND learned LIMIT 1",
            listing_id,
            listing_id,
        )
        return bool(rows[0][0]) if rows else None

    def history(self, count: int) -> list[Prediction]:
        """What was predicted for the last labels, oldest first; suspects are among them."""
        rows = self._rows(
            "SELECT label, predicted, domain FROM predictions ORDER BY arrived_ms DESC, seq DESC "
            "LIMIT ?",
            count,
        )
        return [Prediction(*row) for row in reversed(rows)]

    def tally(self) -> list[tuple[Prediction, int]]:
        """What was predicted for every label there ever was, and how often."""
        rows = self._rows(
            "SELECT label, predicted, domain, count(*) FROM predictions GROUP BY label, predicted, domain"
        )
        return [(Prediction(*row[:3]), row[3]) for row in rows]

    def learned(self) -> dict[str, int]:
        """How many labels of each class were learned."""
        return dict(
            self._rows("SELECT label, count(*) FROM labels WHERE NOT held_out GROUP BY label")
        )

    def seen(self) -> list[Seen]:
        """The labels that were learned, by class, and the listings of the stream they stand for."""
        rows = self._rows(
            "SELECT label, count(*), sum(1 / coalesce(propensity, 1.0)), "
            "sum(1 / coalesce(propensity * propensity, 1.0)) FROM labels WHERE NOT held_out "
            "GROUP BY label"
        )
        return [Seen(*row) for row in rows]

    def known_to_be_learned(self) -> dict[str, int]:
        """The same without the labels of listings that were deleted since."""
        return dict(
            self._rows(
                "SELECT label, count(*) FROM labels WHERE NOT held_out AND listing_id IS NOT NULL "
                "GROUP BY label"
            )
        )

    def learned_and_deleted(self) -> int:
        """How many of the labels that were learned are of listings that were deleted since."""
        ((count,),) = self._rows(
            "SELECT count(*) FROM labels WHERE NOT held_out AND listing_id IS NULL"
        )
        return int(count)

    def last_learned(self) -> int:
        """The number of the last label that was learned; 0 if there is none."""
        ((last,),) = self._rows("SELECT max(seq) FROM labels WHERE NOT held_out")
        return int(last or 0)

    def lessons(self) -> int:
        """A number that grows with every label and every opinion that is learned."""
        return self.last_learned() + self.opinions.last_learned()

    def arrivals(self, after: int, until: int) -> list[int]:
        """When the learned labels of these numbers arrived, in milliseconds since 1970."""
        rows = self._rows(
            "SELECT arrived_ms FROM labels WHERE seq > ? AND seq <= ? AND NOT held_out",
            after,
            until,
        )
        return [row[0] for row in rows]

    def forget(self, listing_id: str) -> None:
        """Remove what is known of a listing; that some label was learned stays, without its name."""
        self.kept.remove(listing_id)
        self.opinions.forget(listing_id)
        self._sql.execute("DELETE FROM suspects WHERE listing_id = ?", (listing_id,))
        self._sql.execute("UPDATE labels SET listing_id = NULL WHERE listing_id = ?", (listing_id,))

    def lost(self, seqs: Sequence[int]) -> bool:
        """Whether the listing of any of these labels was deleted since."""
        rows = self._rows(
            "SELECT 1 FROM labels WHERE listing_id IS NULL AND seq IN (SELECT value FROM json_each(?)) "
            "LIMIT 1",
            msgspec.json.encode(seqs).decode(),
        )
        return bool(rows)

    def add_drift(self, number: int, event: bytes) -> None:
        """Keep that the stream has changed."""
        self._sql.execute("INSERT INTO drifts VALUES (?, ?)", (number, event))

    def drifts(self) -> int:
        """How often the stream has changed."""
        ((count,),) = self._rows("SELECT count(*) FROM drifts")
        return int(count)

    def drift_after(self, number: int) -> bytes | None:
        """The first change of the stream after so many."""
        rows = self._rows(
            "SELECT event FROM drifts WHERE number > ? ORDER BY number LIMIT 1", number
        )
        return bytes(rows[0][0]) if rows else None

    def last_drift(self) -> bytes | None:
        """The last change of the stream."""
        rows = self._rows("SELECT event FROM drifts ORDER BY number DESC LIMIT 1")
        return bytes(rows[0][0]) if rows else None

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with translated(self._path):
            return self._sql.execute(query, values).fetchall()

    def _prepare(self) -> None:
        self._sql.execute("PRAGMA journal_mode = WAL")
        self._sql.execute("PRAGMA synchronous = FULL")
        self._sql.execute("PRAGMA secure_delete = ON")  # a deleted listing leaves no bytes behind
        (found,) = self._sql.execute("PRAGMA user_version").fetchone()
        if found == 0:
            self._sql.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
        elif found != VERSION:
            raise ConfigurationError(
                f"{self._path} is a trainer's database of version {found}; this roomstream reads "
                f"version {VERSION}. Use the roomstream that made it, or another file with "
                "TRAINER_DATABASE: it begins with the newest snapshot of the store that it can read, or "
                "learns everything on 'labelled' again."
            )


def encode_fact(value: Any) -> bytes:
    """Write a small fact."""
    return msgspec.json.encode(value)
