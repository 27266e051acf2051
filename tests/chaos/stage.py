"""A whole deployment on a cluster that may be harmed: topics, store, workers and a trainer."""

import sys
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import msgspec

from artefacts.store import Store
from roomstream.live import make_live
from runtime.settings import SharedSettings, settings_environment
from runtime.topics import create_topics
from tests.chaos.clock import with_movable_clock
from tests.chaos.cluster import Cluster
from tests.chaos.service import Service
from tests.processes import own_port
from tests.releases import tiny_release
from trainer.settings import TrainerSettings
from workers.settings import WorkerSettings

Delivery = Literal["at-least-once", "exactly-once"]

# Shared evenly by one to four workers. Faust gives each as many as a full share rounded up: of four
# partitions the third worker would get none, and would not be ready.
PARTITIONS = 12
SLOTS = 4
WINDOW = 16
SESSION_SECONDS = 6
BEHIND_PROXY, MOVABLE_CLOCK = 0, 1
"""The slots that reach the brokers through the proxies only, and whose clock may jump."""


class Stage:
    """
    A deployment of its own topics. A context manager: nothing is left running.

    Args:
        cluster: Where.
        folder: For store, database and logs.
        delivery: Of all workers.
        prefix: Of the topics.
    """

    def __init__(
        self, cluster: Cluster, folder: Path, delivery: Delivery, prefix: str = ""
    ) -> None:
        self.cluster, self.kafka, self.prefix = cluster, cluster.kafka, prefix
        self.delivery, self.folder = delivery, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.shared = SharedSettings(
            store=f"file://{folder / 'store'}", cache=folder / "cache", topic_prefix=prefix
        )
        self.store = Store(self.shared.store)
        self.database = folder / "trainer.sqlite"
        self.workers = [self._worker(slot) for slot in range(SLOTS)]
        self.trainer = self._trainer()

    @property
    def services(self) -> list[Service]:
        """All processes."""
        return [*self.workers, self.trainer]

    @property
    def group(self) -> str:
        """The workers' consumer group."""
        return WorkerSettings().consumer_group(self.prefix)

    def __enter__(self) -> Self:
        create_topics(self.kafka, self.prefix, PARTITIONS, self.cluster.size)
        self.make_live()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for service in self.services:
            service.leave()
            service.resume()
            if error is not None:
                service.kill()
        for service in self.services:
            service.gone()

    def make_live(self) -> None:
        """Announce a release that knows the words, and that the trainer may surpass at once."""
        manifest = msgspec.structs.replace(tiny_release(self.store), learner="untrained")
        self.store.publish(manifest)
        make_live(self.kafka, self.shared, manifest.release, "the stage's base")

    def _worker(self, slot: int) -> Service:
        settings = WorkerSettings(
            delivery=self.delivery,
            slot=f"slot-{slot}",
            metrics_port=own_port(),
            max_window=WINDOW,
            session_timeout_seconds=SESSION_SECONDS,
            watchdog_seconds=20,
        )
        kafka = self.cluster.behind_proxies if slot == BEHIND_PROXY else self.kafka
        return Service(
            f"worker-{slot}",
            with_movable_clock("worker") if slot == MOVABLE_CLOCK else _command("worker"),
            {
                **settings_environment(kafka),
                **settings_environment(self.shared),
                **settings_environment(settings),
            },
            self.folder / f"worker-{slot}.log",
            settings.metrics_port,
        )

    def _trainer(self) -> Service:
        settings = TrainerSettings(
            database=self.database,
            metrics_port=own_port(),
            release_interval_seconds=2,
            first_labels_per_class=1,
            suspect_confidence=1,  # every label is learned: they are counted
            replay_size=1_000_000,
            holdout_size=1_000_000,
            watchdog_seconds=20,
        )
        return Service(
            "trainer",
            with_movable_clock("trainer"),
            {
                **settings_environment(self.kafka),
                **settings_environment(self.shared),
                **settings_environment(settings),
            },
            self.folder / "trainer.log",
            settings.metrics_port,
        )


def _command(name: str) -> list[str]:
    return [sys.executable, "-P", "-m", "roomstream", name]
