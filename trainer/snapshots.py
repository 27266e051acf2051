"""
Snapshots of the trainer's database in the store, from which a trainer on another machine takes over.

Offsets and learned state are in one file, so that whichever snapshot a trainer begins with, it reads on
where that one stands: every label is in its state exactly once. Names begin with the epoch, so that what
a trainer that was superseded still writes sorts below the snapshots of those after it.
"""

import glob
import hashlib
import re
import threading
import time
from pathlib import Path

import structlog

from artefacts.manifest import OffsetRange
from artefacts.store import Store, sync_folder
from runtime.settings import SharedSettings
from schemas.topics import Topic
from trainer.database import VERSION, Database
from trainer.database_file import copy_database, describe_database
from trainer.metrics import TrainerMetrics
from trainer.settings import TrainerSettings

_log = structlog.get_logger(__name__)

_NAME = re.compile(r"(?P<epoch>\d{10})-\d{13}-(?P<digest>[0-9a-f]{64})\.sqlite")
_KEPT = 2
_RETRY_SECONDS = 30.0


class Snapshots:
    """
    Takes them in the background, and begins with one where it knows more than the local file.

    Args:
        shared: The store, and the topics' prefix.
        settings: The database, and how often it is copied.
        metrics: Where snapshots are counted.
        epoch: That of this trainer.
    """

    def __init__(
        self, shared: SharedSettings, settings: TrainerSettings, metrics: TrainerMetrics, epoch: int
    ) -> None:
        self._store = Store(shared.store)
        self._folder = f"snapshots/{Topic.LABELLED.named(shared.topic_prefix)}"
        self._deletions = Topic.DELETIONS.named(shared.topic_prefix)
        self._path = settings.database
        self._interval = settings.snapshot_every_seconds
        self._metrics = metrics
        self._epoch = epoch
        self._not_before = 0.0
        self._kept: list[OffsetRange] = []  # as far as the last snapshot has read
        self._running: threading.Thread | None = None

    def restore(self) -> None:
        """
        Put the newest whole snapshot in the place of a local file that an older epoch led.

        Raises:
            StoreError: The store cannot be read.
            RoomstreamError: The local file is damaged.
        """
        for left in self._path.parent.glob(f".{glob.escape(self._path.name)}.*.tmp"):
            left.unlink()  # of a trainer that was killed while it fetched
        local = self._local_epoch()
        for name in reversed(self._names()):
            if int(_part(name, "epoch")) <= local:
                return
            if self._take_up(name):
                _log.info("began with a snapshot", snapshot=name, local_epoch=local)
                return

    def step(self, database: Database) -> None:
        """Begin a snapshot if one is due."""
        if self._running is not None and self._running.is_alive():
            return
        if time.monotonic() < self._not_before or (ranges := database.ranges()) == self._kept:
            return
        self._not_before = time.monotonic() + self._interval
        self._running = threading.Thread(
            target=self._take, args=(ranges,), name="snapshot", daemon=True
        )
        self._running.start()

    def finish(self, database: Database) -> None:
        """Take what is missing of a last snapshot, and wait for it."""
        if self._running is not None:
            self._running.join()
        self._not_before = 0.0
        self.step(database)
        if self._running is not None:
            self._running.join()

    def _take(self, ranges: list[OffsetRange]) -> None:
        started = time.perf_counter()
        try:
            name = self._put()
            self._prune(self._most_kept(ranges))
        except Exception as error:  # noqa: BLE001 - learning goes on, whatever it is
            self._metrics.snapshots.labels("failed").inc()
            self._not_before = time.monotonic() + min(_RETRY_SECONDS, self._interval)
            _log.warning("no snapshot was taken: trying again later", why=str(error))
            return
        self._kept = ranges
        seconds = time.perf_counter() - started
        self._metrics.snapshots.labels("kept").inc()
        self._metrics.snapshot_seconds.observe(seconds)
        self._metrics.snapshot_at.set(time.time())
        _log.info("snapshot taken", snapshot=name, seconds=round(seconds, 3))

    def _put(self) -> str:
        self._store.require()  # never make a new one in the place of one that is away
        copy = self._beside("snapshot")
        try:
            copy_database(self._path, copy)
            digest = _digest(copy)
            name = f"{self._epoch:010d}-{time.time_ns() // 1_000_000:013d}-{digest}.sqlite"
            self._store.put_file(f"{self._folder}/{name}", copy)
        finally:
            copy.unlink(missing_ok=True)
        return name

    def _most_kept(self, ranges: list[OffsetRange]) -> int:
        """After a deletion only the new snapshot: the others still hold the listing."""
        before = [part for part in self._kept if part.topic == self._deletions]
        return _KEPT if before == [part for part in ranges if part.topic == self._deletions] else 1

    def _prune(self, most: int) -> None:
        """Remove what is older than the newest ones, unfinished files too."""
        oldest = self._names()[-most:][0]
        for name in self._store.names(self._folder):
            if name.lstrip(".") < oldest:
                self._store.remove(f"{self._folder}/{name}")
        if most < _KEPT:
            self._beside("superseded").unlink(missing_ok=True)

    def _names(self) -> list[str]:
        return [name for name in self._store.names(self._folder) if _NAME.fullmatch(name)]

    def _local_epoch(self) -> int:
        """The epoch of the local file; -1 if there is none."""
        return describe_database(self._path).epoch if self._path.exists() else -1

    def _take_up(self, name: str) -> bool:
        fetched = self._beside("fetched")
        self._store.get_file(f"{self._folder}/{name}", fetched)
        if fault := _fault(fetched, name):
            fetched.unlink()
            self._metrics.snapshots.labels("damaged").inc()
            _log.error("snapshot passed over", snapshot=name, why=fault)
            return False
        # The local file is in one piece: a log left beside it would be taken for the new one's.
        for ending in ("-wal", "-shm"):
            Path(f"{self._path}{ending}").unlink(missing_ok=True)
        if self._path.exists():
            self._path.replace(self._beside("superseded"))
        fetched.replace(self._path)
        sync_folder(self._path.parent)
        return True

    def _beside(self, ending: str) -> Path:
        return self._path.with_name(f"{self._path.name}.{ending}")


def _fault(path: Path, name: str) -> str:
    """What is wrong with a snapshot that was fetched; empty if nothing is."""
    promised = _part(name, "digest")
    if (found := _digest(path)) != promised:
        return f"Its sha256 is {found[:12]}…, its name promises {promised[:12]}…."
    version = describe_database(path).version
    return "" if version == VERSION else f"It is of version {version}, this reads {VERSION}."


def _part(name: str, part: str) -> str:
    found = _NAME.fullmatch(name)
    assert found, "this is a bug: only such names are listed"
    return found[part]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
