"""A trainer without its loop: a real store, a real broker, a tiny DistilBERT, and the slow path."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from artefacts.store import Store
from runtime.settings import KafkaSettings, SharedSettings
from schemas.events import FineTuneRequest, ReleaseAnnouncement
from tests.releases import ROOM_TYPES
from tests.trainer.distilberts import save_model
from tests.trainer.labels import deletion, labelled, record, records
from trainer.base_import import import_base
from trainer.database import Database
from trainer.drift import Drift
from trainer.finetuning.__main__ import fine_tune
from trainer.finetuning.job import JobFolder
from trainer.finetuning.slow_path import SlowPath
from trainer.learning import Learning
from trainer.live import LiveRelease, Releases
from trainer.metrics import TrainerMetrics
from trainer.publishing import Publishing
from trainer.settings import TrainerSettings


class Shop:
    """Learns labels, fine-tunes in this process, publishes."""

    def __init__(self, kafka: KafkaSettings, prefix: str, folder: Path, **options: object) -> None:
        self.kafka = kafka
        self.shared = SharedSettings(
            store=f"file://{folder / 'store'}", cache=folder / "cache", topic_prefix=prefix
        )
        chosen: dict[str, object] = {
            "database": folder / "trainer.sqlite",
            "release_interval_seconds": 0,
            "first_labels_per_class": 1,
            "finetune_steps": 20,
            "finetune_every_labels": 60,
            "max_accuracy_loss": 1,
            "max_recall_loss": 1,
            "max_calibration_loss": 1,
            "noise_items": 1_000,
        }
        self.settings = TrainerSettings(**chosen | options)  # type: ignore[arg-type]
        self.folder = JobFolder(Path(f"{self.settings.database}.fine-tuning"))
        self.releases = Releases(self.shared.cache, threads=1)
        self.request: FineTuneRequest | None = None
        save_model(folder / "model")
        self.live = self._base(folder / "model")
        self._sent = self._deletions = 0
        self.start()

    def start(self) -> None:
        """Start, with what is live and with what is in the database."""
        self.metrics = TrainerMetrics()
        self.database = Database(self.settings.database)
        self.learning = Learning(
            self.database, self.settings, "", self.live, lambda _: None, self.metrics
        )
        self.publishing = Publishing(
            self.kafka, self.shared, self.settings, self.database, self.releases, self.metrics, 1
        )
        self.slow_path = SlowPath(
            self.settings,
            self.database,
            self.learning,
            self.releases,
            Drift(self.database, self.metrics),
            lambda: self.request,
            self.metrics,
            "INFO",
        )
        self.slow_path._process.tend = self._tend  # type: ignore[method-assign]

    def restart(self) -> None:
        """As after a SIGKILL: only what is on the disk is known."""
        self.database.__exit__()
        self.start()

    def learn(self, count: int) -> None:
        """Take in labels."""
        events = [labelled(number) for number in range(self._sent, self._sent + count)]
        self.learning.step(records(events, self._sent))
        self._sent += count

    def delete(self, number: int) -> None:
        """Take in that a listing was deleted."""
        self.learning.step([record(deletion(number), self._deletions)])
        self._deletions += 1

    def publish(self) -> None:
        """The fast path's candidate."""
        self.live = self.publishing.run(self.learning.learner, self.live)

    def begin(self) -> None:
        """Let the slow path look whether it is time."""
        self._step()

    def fine_tune(self) -> None:
        """Do the job, and take up what came of it."""
        self._step()
        while not self.slow_path.ready:
            self._step()

    def conclude(self) -> None:
        """The slow path's candidate."""
        self.live = self.slow_path.conclude(self.live, self.publishing)

    def ended(self, outcome: str) -> float:
        """How often a fine-tuning ended so."""
        name = "roomstream_trainer_finetunes_total"
        return self.metrics.registry.get_sample_value(name, {"outcome": outcome}) or 0

    def kept(self) -> dict[str, Any]:
        """Everything that decides what is learned from here on."""
        rows = self.database._rows("SELECT * FROM items ORDER BY listing_id")
        return {"items": rows, "learner": self.database.learner_state()}

    def _step(self) -> None:
        self.slow_path._look_at = 0.0
        self.slow_path.step(self.live)

    def _tend(self, seconds_left: float) -> bool:
        job = self.folder.job()
        assert job is not None
        if seconds_left > 0:
            fine_tune(self.folder, job, float("inf"))
        return True

    def _base(self, model: Path) -> LiveRelease:
        imported = import_base(str(model), ROOM_TYPES)
        digest = imported.publish(Store(self.shared.store))
        return self.releases.load(
            ReleaseAnnouncement(
                channel="live",
                release=imported.manifest.release,
                manifest_digest=digest,
                store=self.shared.store,
                why="a test",
                announced_at=datetime.now(UTC),
            )
        )
