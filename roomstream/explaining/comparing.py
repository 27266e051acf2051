"""Explains a release of a store: fetches its parent, and has both answer listings of this machine."""

from pathlib import Path

from artefacts.cache import BlobCache
from artefacts.classifier import Classifier
from artefacts.errors import ReleaseError, ReleaseMissing, StoreError
from artefacts.graphs import Encoders
from artefacts.manifest import Manifest
from artefacts.store import Store
from roomstream.commands.output import counting
from roomstream.explaining.answering import Known, changed_answers, made_up_listings
from roomstream.explaining.examples import Examples
from roomstream.explaining.explanation import Explanation, explain
from runtime.settings import load
from schemas.errors import ConfigurationError, RoomstreamError
from trainer.settings import TrainerSettings


def found(release: str, store: Store) -> Manifest:
    """
    The manifest of a release; of a candidate that was refused, what the trainer of this machine recorded.

    Raises:
        ReleaseError: Nobody knows it, or its manifest is not valid.
        StoreError: The store cannot be read.
    """
    try:
        return store.manifest(release)
    except ReleaseMissing:
        recorded = _recorded(release)
        if recorded is None:
            raise
        return recorded


def refused() -> list[Manifest]:
    """
    The candidates that failed their gates, oldest first, as the trainer of this machine recorded them.

    Raises:
        ConfigurationError: No trainer was here, or its database is of another version.
        TryAgain: It cannot be read.
        RoomstreamError: It is damaged.
    """
    from trainer.database_reading import refused_candidates

    database = load(TrainerSettings).database
    if not database.is_file():
        raise ConfigurationError(
            f"There is no trainer's database {database}. Run this on the trainer's machine, and name the "
            "file with TRAINER_DATABASE."
        )
    return refused_candidates(database)


def explained(manifest: Manifest, store: Store, cache: Path, examples: int) -> Explanation:
    """
    Put a release beside its parent.

    Args:
        manifest: The release.
        store: Where it is.
        cache: A folder for parts of releases.
        examples: The most answers to show that changed; 0: do not look for any.

    Raises:
        StoreError: The store cannot be read.
    """
    parent = _parent(manifest, store)
    if parent is None or not examples:
        return explain(manifest, parent)
    return explain(manifest, parent, _examples(manifest, parent, store, cache, examples))


def _recorded(release: str) -> Manifest | None:
    database = load(TrainerSettings).database
    if not database.is_file():
        return None
    try:
        from trainer.database_reading import recorded_candidate

        return recorded_candidate(database, release)
    except (RoomstreamError, ImportError):
        return None  # it is the store that the command was asked about


def _parent(manifest: Manifest, store: Store) -> Manifest | None:
    if manifest.parent is None:
        return None
    try:
        return store.manifest(manifest.parent)
    except ReleaseError:
        return None


def _examples(
    manifest: Manifest, parent: Manifest, store: Store, cache: Path, most: int
) -> Examples:
    """Have both answer; a release that cannot be loaded is a finding, not an end."""
    encoders, fetch = Encoders(), BlobCache(store, cache).get
    loaded = []
    for each in (manifest, parent):
        try:
            loaded.append(Classifier.load(each, fetch, encoders))
        except ReleaseMissing:
            whose = "its" if each is manifest else "its parent's"
            return Examples(source="", fault=f"{whose} parts are not in this store.")
        except (ReleaseError, StoreError) as error:
            return Examples(source="", fault=f"{each.release} cannot be loaded. {error}")
    listings, source = _listings(load(TrainerSettings).database)
    release, before = loaded
    with counting("listings answered by both") as counted:
        return changed_answers(release, before, counted(listings), source, most)


def _listings(database: Path) -> tuple[list[Known], str]:
    """What the trainer keeps if its database is here, else what is made up; and which it is."""
    if not database.is_file():
        return made_up_listings(), f"listings that are made up, since {database} is not here"
    try:
        from trainer.database_reading import kept_listings

        kept = kept_listings(database)
    except (RoomstreamError, ImportError) as error:
        return (
            made_up_listings(),
            f"listings that are made up, since {database} cannot be read: {error}",
        )
    if not kept:
        return made_up_listings(), f"listings that are made up, since {database} keeps none yet"
    known = [
        Known(each.text, each.label, "held out" if each.held_out else "learned") for each in kept
    ]
    return known, f"listings of the hold-out and the replay buffer in {database}"
