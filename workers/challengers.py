"""Which releases are tried beside the live one, and when they are dropped."""

import threading
import time
from collections.abc import Callable, Mapping

import structlog

from artefacts.classifier import Classifier
from artefacts.errors import StoreError
from schemas.events import ReleaseAnnouncement
from workers.metrics import WorkerMetrics
from workers.trials import Challenger, Trial

_log = structlog.get_logger(__name__)

_RETRY_SECONDS = 15.0
_ENOUGH_LISTINGS = 100


class Challengers:
    """
    The challengers of one worker.

    The live release comes first: a challenger that cannot be loaded, fails, or is slow is dropped until
    its channel is announced again, and the worker goes on as if there were none.

    Args:
        load: Fetches, checks and loads a release.
        metrics: Where they are counted.
        most_cost: How many times as long as the live release one may take for a listing.
    """

    def __init__(
        self,
        load: Callable[[ReleaseAnnouncement], Classifier],
        metrics: WorkerMetrics,
        most_cost: float,
    ) -> None:
        self._load = load
        self._metrics = metrics
        self._most_cost = most_cost
        self._lock = threading.Lock()
        self._pending: dict[str, ReleaseAnnouncement] = {}
        self._retry_at = 0.0
        self._serving: dict[str, Challenger] = {}
        self._costs: dict[str, tuple[Trial, Trial]] = {}

    def announced(self, announcement: ReleaseAnnouncement) -> None:
        """Note what was announced on channel canary or shadow; a share of 0 ends what is there."""
        self._pending[announcement.channel] = announcement
        self._retry_at = 0.0

    def take_up(self) -> None:
        """Load what was announced and is not loaded yet."""
        if time.monotonic() < self._retry_at:
            return
        for channel, announcement in list(self._pending.items()):
            if self._settle(announcement):
                self._pending.pop(channel)
            else:
                self._retry_at = time.monotonic() + _RETRY_SECONDS

    def beside(self, live: str) -> tuple[Challenger, ...]:
        """Those that are tried beside this live release: one that became live is none any more."""
        return tuple(each for each in self._serving.values() if each.release != live)

    def judge(self, live: Trial, trials: Mapping[Challenger, Trial]) -> None:
        """Drop those that failed in a window, or that have been slow for some time."""
        for challenger, trial in trials.items():
            if trial.fault:
                self._drop(challenger, "failed", trial.fault)
            elif cost := self._cost(challenger, trial, live):
                self._drop(
                    challenger,
                    "slow",
                    f"It takes {cost:.1f} times as long for a listing as the live release; "
                    f"WORKER_CHALLENGER_COST allows {self._most_cost:g}.",
                )

    def _settle(self, announcement: ReleaseAnnouncement) -> bool:
        """Return whether nothing is left to do about an announcement."""
        channel, release = announcement.channel, announcement.release
        if not announcement.share:
            if self._replace(channel, None):
                self._count(channel, "ended")
                _log.info(
                    "challenger ended", channel=channel, release=release, why=announcement.why
                )
            return True
        try:
            challenger = Challenger(channel, announcement.share, self._load(announcement))
        except StoreError as error:
            self._replace(channel, None)
            _log.warning("challenger cannot be fetched: trying again", why=str(error))
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is, the live release serves on
            self._replace(channel, None)
            self._count(channel, "refused")
            _log.error("challenger refused", channel=channel, release=release, why=str(error))
            return True
        self._replace(channel, challenger)
        self._count(channel, "loaded")
        _log.info("challenger taken up", channel=channel, release=release, share=challenger.share)
        return True

    def _cost(self, challenger: Challenger, trial: Trial, live: Trial) -> float | None:
        """How many times as long as the live release it takes; None while it is not too long."""
        with self._lock:
            if challenger.channel not in self._costs:
                return None
            sums = self._costs[challenger.channel]
        for total, latest in zip(sums, (trial, live), strict=True):
            total.listings += latest.listings
            total.seconds += latest.seconds
        ours, theirs = sums
        if min(ours.listings, theirs.listings) < _ENOUGH_LISTINGS:
            return None
        cost = (ours.seconds / ours.listings) / (theirs.seconds / theirs.listings)
        return cost if cost > self._most_cost else None

    def _drop(self, challenger: Challenger, outcome: str, why: str) -> None:
        if self._serving.get(challenger.channel) is not challenger:
            return  # another one has come
        self._replace(challenger.channel, None)
        self._count(challenger.channel, outcome)
        _log.error(
            "challenger dropped: the live release serves on",
            channel=challenger.channel,
            release=challenger.release,
            why=why,
        )

    def _replace(self, channel: str, challenger: Challenger | None) -> bool:
        """Put one in the place of another, or none; return whether there was another."""
        with self._lock:
            serving = dict(self._serving)
            before = serving.pop(channel, None)
            if challenger is not None:
                serving[channel] = challenger
                self._costs[channel] = (Trial(), Trial())
            self._serving = serving
        if before is not None:
            self._metrics.challenger.remove(channel, before.release)
        if challenger is not None:
            self._metrics.challenger.labels(channel, challenger.release).set(challenger.share)
        return before is not None

    def _count(self, channel: str, outcome: str) -> None:
        self._metrics.challengers.labels(channel, outcome).inc()
