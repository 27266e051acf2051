"""The listings that are kept: the replay buffer to rehearse, the hold-out to judge by."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from artefacts.graphs import Floats
from trainer.database_file import Rows
from trainer.intake import Label

_SELECT_ITEMS = "SELECT listing_id, text, label, domain, features FROM items"


@dataclass(frozen=True)
class Items:
    """Listings of the replay buffer or the hold-out: features float32 (items, dim)."""

    ids: list[str]
    texts: list[str]
    labels: list[str]
    domains: list[str]
    features: Floats


class Kept:
    """
    The table `items`; writes belong into a transaction of the database.

    Args:
        run: Executes a statement and returns its rows.
    """

    def __init__(self, run: Rows) -> None:
        self._run = run

    def put(self, seq: int, held_out: bool, label: Label, features: Floats) -> None:
        """Keep a listing for replay or judgement; it takes the place of an older version."""
        self._run(
            "INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
            label.listing_id,
            seq,
            held_out,
            label.text,
            label.label,
            label.domain,
            features.tobytes(),
        )

    def put_features(self, listing_id: str, features: Floats) -> None:
        """Replace the features of a kept listing."""
        self._run(
            "UPDATE items SET features = ? WHERE listing_id = ?", features.tobytes(), listing_id
        )

    def put_logits(self, listing_id: str, logits: Floats) -> None:
        """Note what the learner said of a listing, if it is kept."""
        self._run("UPDATE items SET logits = ? WHERE listing_id = ?", logits.tobytes(), listing_id)

    def logits(self) -> dict[str, Floats]:
        """What the learner said of the listings of the replay buffer before it learned them."""
        rows = self._run("SELECT listing_id, logits FROM items WHERE logits IS NOT NULL")
        return {row[0]: np.frombuffer(row[1], np.float32) for row in rows}

    def seqs(self) -> dict[str, int]:
        """The number of the label that each kept listing is kept for."""
        return dict(self._run("SELECT listing_id, seq FROM items"))

    def label_of(self, listing_id: str) -> str | None:
        """The label of a kept listing."""
        rows = self._run("SELECT label FROM items WHERE listing_id = ?", listing_id)
        return rows[0][0] if rows else None

    def remove(self, listing_id: str) -> None:
        """Keep a listing no longer."""
        self._run("DELETE FROM items WHERE listing_id = ?", listing_id)

    def trim_holdout(self, size: int) -> None:
        """
        Keep so many listings of the hold-out.

        Half of the places are shared out evenly among the classes, so that rare ones can be judged;
        each goes to the newest listings of its class. The rest goes to the newest of all.
        """
        self._run(
            "DELETE FROM items WHERE held_out AND listing_id NOT IN (SELECT listing_id FROM ("
            "SELECT listing_id, seq, row_number() OVER (PARTITION BY label ORDER BY seq DESC) AS place "
            "FROM items WHERE held_out) ORDER BY place > "
            "? / 2 / (SELECT count(DISTINCT label) FROM items WHERE held_out), seq DESC LIMIT ?)",
            size,
            size,
        )

    def listings(self) -> list[tuple[str, str, str]]:
        """Listing, label and domain of the replay buffer, oldest first."""
        return self._run(
            "SELECT listing_id, label, domain FROM items WHERE NOT held_out ORDER BY seq"
        )

    def holdout_size(self) -> int:
        """How many listings are in the hold-out."""
        ((count,),) = self._run("SELECT count(*) FROM items WHERE held_out")
        return int(count)

    def items(self, held_out: bool) -> Items:
        """The replay buffer or the hold-out, oldest first."""
        return _items(self._run(f"{_SELECT_ITEMS} WHERE held_out = ? ORDER BY seq", held_out))

    def items_of(self, listings: Sequence[str]) -> Items:
        """These kept listings, in this order; one may come several times."""
        rows = {
            listing: self._run(f"{_SELECT_ITEMS} WHERE listing_id = ?", listing)
            for listing in set(listings)
        }
        return _items([row for listing in listings for row in rows[listing]])


def _items(rows: Sequence[tuple[Any, ...]]) -> Items:
    features = [np.frombuffer(row[4], np.float32) for row in rows]
    return Items(
        ids=[row[0] for row in rows],
        texts=[row[1] for row in rows],
        labels=[row[2] for row in rows],
        domains=[row[3] for row in rows],
        features=np.stack(features) if rows else np.zeros((0, 0), np.float32),
    )
