"""The release that answers: follows the announcements and swaps between two windows."""

import contextlib
import ctypes
import os
import sys
import threading
import time
from pathlib import Path

import structlog

from artefacts.cache import BlobCache
from artefacts.classifier import Classifier
from artefacts.errors import ReleaseError, ReleaseMissing, StoreError
from artefacts.graphs import Encoders
from artefacts.last_served import LastServed
from artefacts.store import Store
from runtime.announcements import Announcements
from runtime.health import Health
from runtime.retrying import BackOff, retry
from runtime.settings import KafkaSettings, SharedSettings
from schemas.errors import ConfigurationError, RoomstreamError, TryAgain
from schemas.events import ReleaseAnnouncement
from workers.challengers import Challengers
from workers.metrics import WorkerMetrics
from workers.settings import WorkerSettings

LOADING_NICENESS = 10
"""Of the thread that loads releases: it gets a tenth of a core that others want too."""

_log = structlog.get_logger(__name__)

_POLL_SECONDS = 0.25
_BACK_OFF = BackOff(first_seconds=1.0, most_seconds=15.0)
_REFUSALS = (ReleaseError, ConfigurationError)


class LiveModel:
    """
    Holds the live release, and takes up newer ones beside it in a thread of its own.

    A release that cannot be served is refused, counted and logged; the one before it serves on, also
    in a process that starts meanwhile. A store that is out of reach is tried again.

    Args:
        kafka: How to reach Kafka.
        shared: Topic prefix and cache folder.
        settings: Threads of one inference, texts to remember, and what a challenger may cost.
        metrics: Where reloads are counted.
        health: Its condition `release` is met once a release is loaded and warm.

    Attributes:
        challengers: Releases that are tried beside the live one.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        shared: SharedSettings,
        settings: WorkerSettings,
        metrics: WorkerMetrics,
        health: Health,
    ) -> None:
        self._announcements = Announcements(kafka, shared.topic_prefix)
        self._cache = Path(shared.cache)
        self._served = LastServed(self._cache, shared.topic_prefix)
        self._metrics = metrics
        self._health = health
        self._threads = settings.threads
        self._encoders = Encoders(recent_texts=settings.recent_texts)
        self._stale = 0
        self._classifier: Classifier | None = None
        self._failures, self._retry_at = 0, 0.0
        self.challengers = Challengers(self._load, metrics, settings.challenger_cost)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="live-model", daemon=True)
        self.failure: Exception | None = None

    def start(self, wait_seconds: float, stop: threading.Event | None = None) -> None:
        """
        Load the release that is live, waiting for its announcement, then follow newer ones.

        If it cannot be served, the one that was served last from this cache is loaded instead.

        Args:
            wait_seconds: How long to wait for the announcement, and for a store that is out of reach.
            stop: Ends the wait.

        Raises:
            ReleaseError: None was announced in time, or it cannot be served and none was before.
            StoreError: It cannot be fetched.
            Stopped: The process was told to stop.
            TryAgain: The broker cannot be reached.
        """
        stop = stop or threading.Event()
        live = self._announcements.wait_for("live", wait_seconds, stop)
        if live is None:
            raise ReleaseMissing(
                f"No live release was announced within {wait_seconds:g} s. Make one with "
                "'roomstream base import', or announce one with 'roomstream releases promote'."
            )
        try:
            retry(lambda: self._swap(live, "initial"), stop, wait_seconds)
        except _REFUSALS as error:
            before = self._served.before(live)
            if before is None:
                raise
            retry(lambda: self._swap(before, "initial"), stop, wait_seconds)
            self._refuse(live, error)
        for channel, announcement in self._announcements.last.items():
            if channel != "live":
                self.challengers.announced(announcement)
        self._thread.start()

    def current(self) -> Classifier:
        """
        The release to answer the next window with.

        Raises:
            RoomstreamError: Following the announcements has failed.
        """
        if self.failure is not None:
            raise TryAgain(
                f"Announcements can no longer be followed: {self.failure}. The process ends so that "
                "it starts afresh."
            ) from self.failure
        if self._classifier is None:
            raise RoomstreamError("This is a bug: no release was loaded before the first window.")
        return self._classifier

    def close(self) -> None:
        """Follow no more."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self._announcements.close()

    def _follow(self) -> None:
        pending: ReleaseAnnouncement | None = None
        _give_way()
        try:
            while not self._closed.is_set():
                for announcement in self._announcements.poll(_POLL_SECONDS):
                    if announcement.channel == "live":
                        pending, self._failures, self._retry_at = announcement, 0, 0.0
                    else:
                        self.challengers.announced(announcement)
                self._count_stale()
                if pending is not None and time.monotonic() >= self._retry_at:
                    pending = None if self._take_up(pending) else pending
                self.challengers.take_up()
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker must not go on silently
            self.failure = error
            self._health.set("release", False, f"announcements can no longer be followed: {error}")
            _log.exception("announcements can no longer be followed")

    def _count_stale(self) -> None:
        self._metrics.reloads.labels("stale").inc(self._announcements.stale - self._stale)
        self._stale = self._announcements.stale

    def _take_up(self, announcement: ReleaseAnnouncement) -> bool:
        """Return whether this announcement is settled: loaded or refused."""
        if announcement.release == self.current().manifest.release:
            return True
        try:
            self._swap(announcement, "loaded")
        except StoreError as error:
            self._failures += 1
            wait = _BACK_OFF.wait_seconds(self._failures)
            self._retry_at = time.monotonic() + wait
            _log.warning(
                "release cannot be fetched: trying again",
                why=str(error),
                in_seconds=round(wait, 1),
            )
            return False
        except _REFUSALS as error:
            self._refuse(announcement, error)
        return True

    def _refuse(self, announcement: ReleaseAnnouncement, error: Exception) -> None:
        _log.error(
            "release refused: the one before it serves on",
            release=announcement.release,
            live=self.current().manifest.release,
            why=str(error),
        )
        self._metrics.reloads.labels("refused").inc()  # who sees it counted finds it in the log

    def _swap(self, announcement: ReleaseAnnouncement, outcome: str) -> None:
        started = time.perf_counter()
        classifier = self._load(announcement)
        manifest = classifier.manifest
        before, self._classifier = self._classifier, classifier
        seconds = time.perf_counter() - started
        self._metrics.reloads.labels(outcome).inc()
        self._metrics.reload_seconds.observe(seconds)
        if before is not None:
            self._metrics.live_release.remove(before.manifest.release)
        self._metrics.live_release.labels(manifest.release).set(1)
        self._health.set("release", True, f"{manifest.release} is loaded and warm")
        _log.info(
            "release taken up",
            release=manifest.release,
            parent=manifest.parent,
            learner=manifest.learner,
            seconds=round(seconds, 3),
            encoder_reused=before is not None and before.encoder is classifier.encoder,
        )
        self._served.note(announcement)

    def _load(self, announcement: ReleaseAnnouncement) -> Classifier:
        store = Store(announcement.store)
        manifest = store.manifest(announcement.release, announcement.manifest_digest)
        fetch = BlobCache(store, self._cache).get
        classifier = Classifier.load(manifest, fetch, self._encoders, self._threads)
        _give_back_memory()
        return classifier


def _give_way() -> None:
    """Let this thread have what the others leave of the processor: Linux has a niceness for each."""
    if sys.platform == "linux":
        with contextlib.suppress(
            OSError
        ):  # a sandbox may refuse it: releases are taken up all the same
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOADING_NICENESS)


def _give_back_memory() -> None:
    """Return what loading has freed to the system; glibc would keep a tenth of a worker's memory."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)
