"""A trainer that runs for months: its store does not grow for ever, whatever happens to the store."""

import uuid
from pathlib import Path

from artefacts.store import Store
from tests.artefacts.test_retention import chain
from trainer.retention import Retention


def test_old_releases_go_once_there_are_a_tenth_too_many() -> None:
    """The newest stay, and what serves."""
    store = Store(f"memory://{uuid.uuid4().hex}")
    _, names = chain(store, 21)
    made = set(names)
    Retention(store, lambda: made, 20, lambda: {names[0]}).step()
    before = store.releases()
    made |= set(chain(store, 25)[1])
    Retention(store, lambda: made, 20, lambda: {names[0]}).step()
    after = store.releases()

    assert len(before) == 22
    assert set(names) <= set(before)
    assert names[0] in after
    assert len(after) == 23  # the newest, the one that serves, and two that were imported


def test_a_store_that_is_away_is_no_reason_to_stop(tmp_path: Path) -> None:
    """Everything is there still when it comes back, and old releases go then."""
    store = Store(f"file://{tmp_path / 'store'}")
    _, names = chain(store, 14)
    folder, away = tmp_path / "store" / "releases", tmp_path / "away"
    folder.rename(away)
    folder.write_text("not a folder")
    Retention(store, lambda: names, 10, set).step()
    folder.unlink()
    away.rename(folder)
    before = len(store.releases())
    Retention(store, lambda: names, 10, set).step()

    assert (before, len(store.releases())) == (15, 11)
