"""roomstream's trainer, fed by files: its own learning, gates and releases."""

import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from artefacts.store import Store
from bench.learning.bases import MAX_LENGTH
from bench.learning.methods import Cost, Run, Watch
from bench.learning.rows import Row
from bench.learning.waits import Waits
from roomstream.listings import Listing, labelled_event
from runtime.records import Record
from runtime.settings import SharedSettings, load
from runtime.topics import create_topics
from schemas.codec import encode
from schemas.events import ReleaseAnnouncement
from schemas.topics import Topic
from trainer.base_import import import_base
from trainer.contest import Contest
from trainer.database import Database
from trainer.drift import Drift
from trainer.finetuning.memory import want, wanted
from trainer.finetuning.slow_path import SlowPath
from trainer.learning import Encoded, Learning
from trainer.live import LiveRelease, Releases
from trainer.metrics import TrainerMetrics
from trainer.publishing import Publishing
from trainer.settings import TrainerSettings

MINI_BATCH = 64
RELEASE_EVERY = 512
"""Labels between two candidates; a deployment counts seconds instead."""
FINE_TUNES = 2
STEPS_PER_LABEL = 1 / 60
MOST_STEPS = 300
"""Mini-batches of a fine-tune: the trainer's default, fewer in a short stream."""
_LOOK_SECONDS = 0.1


class Trained:
    """
    A trainer with some learner; what answers is the live release, as in a worker.

    Args:
        run: What is learned.
        learner: As TRAINER_LEARNER has it.
        fine_tunes: The slow path fine-tunes the encoder twice, evenly spread over the stream, and
            whenever the stream has changed. The stream waits meanwhile: in a deployment labels come
            slower.
    """

    at_once = False

    def __init__(self, run: Run, learner: str, fine_tunes: bool = False) -> None:
        self._run = run
        self._folder = Path(tempfile.mkdtemp(dir=run.bench.folder))
        self._steps = max(20, min(MOST_STEPS, round(STEPS_PER_LABEL * len(run.stream.rows))))
        self._settings = load(
            TrainerSettings,
            learner=learner,
            database=self._folder / "trainer.sqlite",
            release_interval_seconds=0,
            finetune_every_labels=0,
            finetune_steps=self._steps,
            finetune_cpu_seconds=86_400,
        )
        shared = load(
            SharedSettings,
            store=f"file://{self._folder / 'store'}",
            cache=self._folder / "cache",
            topic_prefix=f"{self._folder.name}.",
        )
        create_topics(run.bench.kafka, shared.topic_prefix, partitions=1, replication_factor=1)
        self._prefix = shared.topic_prefix
        self._releases = Releases(shared.cache, threads=1)
        self._releases.encoders = run.bench.encoders
        self._live = self._base(shared)
        self._database = Database(self._settings.database)
        self._metrics = TrainerMetrics()
        self._contest = Contest(
            self._database, self._settings, self._releases, self._metrics, self._live
        )
        self._drift = Drift(self._database, self._metrics)
        self._learning = Learning(
            self._database, self._settings, self._prefix, self._live, _refuse, self._metrics,
            self._watch,
        )  # fmt: skip
        self._publishing = Publishing(
            run.bench.kafka, shared, self._settings, self._database, self._releases,
            self._metrics, 1,
        )  # fmt: skip
        self._slow_path = SlowPath(
            self._settings, self._database, self._learning, self._releases,
            self._drift, lambda: None, self._metrics, "ERROR",
        )  # fmt: skip
        self._fine_tunes = fine_tunes
        self._offset = self._untried = self._fine_tuned_at = 0
        self.cost = Cost()
        self._waits = Waits(self.cost.waits)

    def learn(self, rows: Sequence[Row]) -> None:
        """Feed a phase in mini-batches, with a candidate now and then, and one at its end."""
        for start in range(0, len(rows), MINI_BATCH):
            batch = rows[start : start + MINI_BATCH]
            last = start + MINI_BATCH >= len(rows)
            before = self._live
            with Watch(self._run.bench.encoders) as watch:
                self._step(batch, last)
            self.cost.cpu_seconds += watch.cpu_seconds
            self._waits.passed(watch.wall_seconds, over=self._live is not before)
            if self._fine_tunes and self._due():
                self._fine_tuned_at = self._offset
                self._fine_tune()
        self.cost.announced = int(self._metric("releases_total", outcome="announced"))
        self.cost.refused = int(self._metric("releases_total", outcome="refused"))

    def predict(self, texts: Sequence[str]) -> list[str]:
        """Label each text."""
        return [answer.label for answer in self._live.classifier.predict(texts)]

    def _step(self, batch: Sequence[Row], last: bool) -> None:
        self._learning.step([self._record(row, place) for place, row in enumerate(batch)])
        self._contest.move()  # a new last release that was proved, perhaps; nothing is rolled back here
        self._offset += len(batch)
        self._untried += len(batch)
        if (last or self._untried >= RELEASE_EVERY) and self._publishing.due(self._live):
            self._waits.begin()
            self._is_live(self._publishing.run(self._learning.learner, self._live))
            self._untried = 0

    def _is_live(self, release: LiveRelease) -> None:
        if release is not self._live:
            self._live = release
            self._contest.lives(release)

    def _watch(self, labelled: Encoded, said: Sequence[str | None], encoding: str) -> None:
        self._contest.observe(labelled, said, encoding)
        for place, (label, guess) in enumerate(zip(labelled, said, strict=True)):
            before = self._database.drifts()
            self._drift.observe([label], [guess])
            if self._database.drifts() > before:
                self.cost.alarms.append(self._offset + place + 1)

    def _due(self) -> bool:
        every = len(self._run.stream.rows) // FINE_TUNES
        change, waits = self._drift.pending, self._settings.finetune_drift_labels
        return self._offset - self._fine_tuned_at >= every or (
            change is not None and self._database.last_learned() - change.label >= waits
        )

    def _fine_tune(self) -> None:
        """Let the slow path fine-tune, encode again and make its candidate, and wait for it."""
        before, spent = self._live, self._metric("finetune_cpu_seconds_total")
        with Watch(self._run.bench.encoders) as watch:
            with self._database.transaction():
                want(self._database, "it is time, or the stream has changed")
            with closing(self._slow_path):  # out of time, its process must not write on
                while wanted(self._database) or self._metric("finetuning"):
                    self._slow_path.step(self._live)
                    if self._slow_path.ready:
                        self._is_live(self._slow_path.conclude(self._live, self._publishing))
                    self._run.bench.step(int(self._metric("finetune_step")), self._steps)
                    time.sleep(_LOOK_SECONDS)
        self.cost.cpu_seconds += watch.cpu_seconds
        self.cost.cpu_seconds += self._metric("finetune_cpu_seconds_total") - spent
        self._waits.passed(watch.wall_seconds, over=self._live is not before)

    def _metric(self, name: str, **labels: str) -> float:
        registry = self._metrics.registry
        return registry.get_sample_value(f"roomstream_trainer_{name}", labels) or 0.0

    def _record(self, row: Row, place: int) -> Record:
        offset = self._offset + place
        listing = Listing(row.key, row.text, source=row.domain or None)
        event = labelled_event(listing, row.label, f"{row.key}-{offset}", datetime.now(UTC))
        value, header = encode(event)
        topic = Topic.LABELLED.named(self._prefix)
        now_ms = int(time.time() * 1000)
        return Record(topic, 0, offset, row.key.encode(), value, (header,), now_ms)

    def _base(self, shared: SharedSettings) -> LiveRelease:
        """Publish the first release: the tuned encoder, and a head that knows nothing."""
        labels = [row.label for row in [*self._run.stream.phases[0].rows, *self._run.stream.rows]]
        first = set(labels[: len(self._run.stream.phases[0].rows)])
        known = list(dict.fromkeys(labels))[: max(2, len(first))]
        imported = import_base(self._run.start.source, known, max_length=MAX_LENGTH)
        return self._releases.load(
            ReleaseAnnouncement(
                channel="live",
                release=imported.manifest.release,
                manifest_digest=imported.publish(Store(shared.store)),
                store=shared.store,
                why="the benchmark begins",
                announced_at=datetime.now(UTC),
            )
        )


def _refuse(letters: Sequence[object]) -> None:
    assert not letters, "this is a bug: a label of the benchmark became a dead letter"
