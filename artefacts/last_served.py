"""Which release was served last from a cache: what a process that starts falls back to."""

import contextlib
from pathlib import Path

import msgspec

from artefacts.store import write_atomically
from schemas.events import ReleaseAnnouncement


class LastServed:
    """
    A note in the cache of the release that was taken up last.

    Nothing else tells it for sure: the topic of announcements is compacted, and a manifest that is
    missing or damaged names no parent.

    Args:
        cache: The folder; its releases are those of any process that shares it.
        prefix: The deployment's topic prefix: several may share a cache.
    """

    def __init__(self, cache: Path, prefix: str) -> None:
        self._path = cache / f"{prefix}last-served.json"

    def note(self, announcement: ReleaseAnnouncement) -> None:
        """Remember a release that serves now."""
        with contextlib.suppress(OSError):  # a folder that takes nothing more: there is no fallback
            write_atomically(self._path, msgspec.json.encode(announcement))

    def before(self, refused: ReleaseAnnouncement) -> ReleaseAnnouncement | None:
        """The release to fall back to from one that cannot be served, if there is one."""
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=ReleaseAnnouncement)
        except (OSError, msgspec.MsgspecError):
            return None
        return found if found.release != refused.release else None
