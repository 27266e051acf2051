"""The last release that labels have proved, to judge candidates by besides the live one."""

import structlog

from artefacts.errors import ReleaseError
from schemas.events import ReleaseAnnouncement
from trainer.contest import guarded_by
from trainer.database import Database
from trainer.live import LiveRelease, Releases

_log = structlog.get_logger(__name__)


class Proved:
    """
    Knows it, whoever has loaded it besides.

    Args:
        database: Says which one it is, so that a restart judges alike.
        releases: Loads it; the encoder that it shares with the live one is there already.
    """

    def __init__(self, database: Database, releases: Releases) -> None:
        self._database = database
        self._releases = releases
        self._release = ""
        self._loaded: LiveRelease | None = None

    def beside(self, live: LiveRelease) -> LiveRelease | None:
        """
        It; None where it is the live one, untrained, damaged, or knows nothing of these features.

        Raises:
            StoreError: The store is out of reach.
        """
        announcement = guarded_by(self._database)
        if announcement is None or announcement.release == live.manifest.release:
            return None
        if announcement.release != self._release:
            self._loaded = self._load(announcement)
            self._release = announcement.release
        found = self._loaded
        if found is None or found.manifest.learner == "untrained":
            return None
        return found if found.encoding == live.encoding else None

    def _load(self, announcement: ReleaseAnnouncement) -> LiveRelease | None:
        try:
            return self._releases.load(announcement)
        except ReleaseError as error:
            _log.warning("judged without the release that labels have proved", why=str(error))
            return None
