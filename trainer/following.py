"""Which release is live, whoever announced it."""

import threading
import time

import structlog

from artefacts.errors import ReleaseError, ReleaseMissing, StoreError
from artefacts.last_served import LastServed
from runtime.announcements import Announcements
from runtime.health import Health
from runtime.retrying import BackOff, retry
from schemas.events import ReleaseAnnouncement
from trainer.leadership import Superseded
from trainer.live import LiveRelease, Releases
from trainer.metrics import TrainerMetrics

_log = structlog.get_logger(__name__)

_BACK_OFF = BackOff(first_seconds=1.0, most_seconds=15.0)


class Following:
    """
    What is live, whoever announced it.

    Args:
        announcements: Read for newer ones.
        releases: Loads them.
        served: Notes what was live last, to begin with where the live one cannot be served.
        metrics: Shows which is live.
        health: Its condition `release` is met once one is loaded.
        epoch: That of this trainer.
    """

    def __init__(
        self,
        announcements: Announcements,
        releases: Releases,
        served: LastServed,
        metrics: TrainerMetrics,
        health: Health,
        epoch: int,
    ) -> None:
        self._announcements = announcements
        self._releases = releases
        self._served = served
        self._metrics = metrics
        self._health = health
        self._epoch = epoch
        self._pending: ReleaseAnnouncement | None = None
        self._unread: list[ReleaseAnnouncement] = []  # ours, until we read them back
        self._before_ours: ReleaseAnnouncement | None = None
        self._overtaken: ReleaseAnnouncement | None = None
        self._failures, self._retry_at = 0, 0.0
        self._shown: str | None = None
        self.live: LiveRelease

    def start(self, wait_seconds: float, stop: threading.Event | None = None) -> LiveRelease:
        """
        Load what is live, waiting for its announcement and for a store that is out of reach.

        If it cannot be served, begin with what was live before, as a trainer that runs would go on.

        Raises:
            ReleaseError: None was announced in time, or it cannot be served and none was before.
            StoreError: It cannot be fetched.
            Stopped: The process was told to stop.
        """
        stop = stop or threading.Event()
        announcement = self._announcements.wait_for("live", wait_seconds, stop)
        if announcement is None:
            raise ReleaseMissing(
                f"No live release was announced within {wait_seconds:g} s. Make one with "
                "'roomstream base import', or announce one with 'roomstream releases promote'."
            )
        try:
            live = retry(lambda: self._releases.load(announcement), stop, wait_seconds)
        except ReleaseError as error:
            before = self._served.before(announcement)
            if before is None:
                raise
            self.is_live(retry(lambda: self._releases.load(before), stop, wait_seconds))
            self._refuse(announcement, error)
            return self.live
        self.is_live(live)
        if announcement.epoch not in (None, self._epoch):
            # Under our epoch it cannot be taken for stale, whatever of the topic is compacted away.
            self._overtaken = announcement
        return self.live

    def newer(self) -> bool:
        """
        Look for announcements of others; return whether another release was taken up.

        Raises:
            Superseded: Another trainer has taken the lead.
        """
        self._look()
        if self._pending is None or time.monotonic() < self._retry_at:
            return False
        announcement, self._pending = self._pending, None
        if announcement.release == self.live.manifest.release:
            self.is_live(LiveRelease(announcement, self.live.classifier))  # perhaps pinned now
            return False
        return self._take_up(announcement)

    @property
    def undecided(self) -> bool:
        """Whether somebody made a release live that could not be fetched yet."""
        return self._pending is not None

    def is_ours(self, live: LiveRelease) -> None:
        """Note what is live after we made a candidate."""
        if live is not self.live:
            self._unread.append(live.announcement)
        self.is_live(live)

    def overtaken(self) -> ReleaseAnnouncement | None:
        """
        What somebody announced while we announced ours, so that ours hides it on the topic.

        It counts, or a rollback in that moment would not hold: announce it again. So does what a
        stale announcement hides.
        """
        found, self._overtaken = self._overtaken, None
        if found is None and not self._unread and "live" in self._announcements.hidden:
            found = self._announcements.last.get("live")
        return found

    def is_overtaken(self, announcement: ReleaseAnnouncement) -> None:
        """Note what could not be announced again, unless something newer is to be."""
        self._overtaken = self._overtaken or announcement

    def is_repeated(self, announcement: ReleaseAnnouncement) -> None:
        """Note what we have announced again."""
        self._unread.append(announcement)

    @property
    def challenger(self) -> ReleaseAnnouncement | None:
        """What was announced beside the live release last: a canary, else a shadow."""
        for channel in ("canary", "shadow"):
            found = self._announcements.last.get(channel)
            if found is not None and found.share:
                return found
        return None

    def is_said(self, announcement: ReleaseAnnouncement) -> None:
        """Note what we have announced of a challenger, until we read it back."""
        self._announcements.last[announcement.channel] = announcement

    def _look(self) -> None:
        for announcement in self._announcements.poll(0):
            if announcement.channel != "live":
                continue
            if not self._unread:
                self._pending, self._overtaken = announcement, None
            elif announcement in self._unread:
                del self._unread[: self._unread.index(announcement) + 1]
                self._settle()
            else:
                self._before_ours = announcement
        if self._announcements.fence.epoch > self._epoch:
            raise Superseded(
                f"Another trainer has taken the lead (epoch {self._announcements.fence.epoch}, this "
                f"one's is {self._epoch}). Started again, this one stands by."
            )

    def _settle(self) -> None:
        """Once all of ours were read back, what stands before them is known."""
        if not self._unread and self._before_ours is not None:
            self._pending = self._overtaken = self._before_ours
            self._before_ours = None

    def is_live(self, live: LiveRelease) -> None:
        """Note what is live."""
        self.live = live
        release = live.manifest.release
        if self._shown == release:
            return
        if self._shown is not None:
            self._metrics.live_release.remove(self._shown)
        self._shown = release
        self._served.note(live.announcement)
        self._metrics.live_release.labels(release).set(1)
        self._health.set("release", True, f"{release} is live")

    def _take_up(self, announcement: ReleaseAnnouncement) -> bool:
        try:
            live = self._releases.load(announcement)
        except StoreError as error:
            self._failures += 1
            wait = _BACK_OFF.wait_seconds(self._failures)
            _log.warning(
                "release cannot be fetched: trying again",
                why=str(error),
                in_seconds=round(wait, 1),
            )
            self._pending, self._retry_at = announcement, time.monotonic() + wait
            return False
        except ReleaseError as error:
            self._failures = 0
            self._refuse(announcement, error)
            return False
        self._failures = 0
        _log.info(
            "somebody else made a release live",
            release=announcement.release,
            pinned=announcement.pinned,
            why=announcement.why,
        )
        self.is_live(live)
        return True

    def _refuse(self, announcement: ReleaseAnnouncement, error: ReleaseError) -> None:
        _log.error(
            "release refused: going on with the one before it",
            release=announcement.release,
            live=self.live.manifest.release,
            why=str(error),
        )
