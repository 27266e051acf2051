"""A trainer without Kafka, for tests of what it learns and keeps."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from artefacts.store import Store
from runtime.dead_letters import DeadLetter, read_dead_letter
from runtime.records import Outbound, Record
from schemas.events import Event, ReleaseAnnouncement
from tests.releases import ROOM_TYPES, tiny_release
from tests.trainer.labels import SHARE, labelled, records
from trainer.database import Database
from trainer.learners.base import Examples
from trainer.learners.slda import StreamingLda
from trainer.learning import Learning
from trainer.live import LiveRelease, Releases
from trainer.metrics import TrainerMetrics
from trainer.settings import TrainerSettings


class Bench:
    """A trainer without Kafka: feed it records, look at what it keeps."""

    def __init__(self, folder: Path, **options: object) -> None:
        self.folder = folder
        self.settings = TrainerSettings(holdout_share=SHARE, **options)  # type: ignore[arg-type]
        self.store = Store(f"file://{folder / 'store'}")
        self.releases = Releases(folder / "cache", threads=1)
        self.live = self.release()
        self.letters: list[Outbound] = []
        self.database = Database(folder / "trainer.sqlite")
        self.learning = self._learning()

    def release(self, labels: Sequence[str] = ROOM_TYPES, seed: int = 0) -> LiveRelease:
        """Publish and load another release."""
        manifest = tiny_release(self.store, labels=labels, seed=seed)
        return self.releases.load(
            ReleaseAnnouncement(
                channel="live",
                release=manifest.release,
                manifest_digest=manifest.digest(),
                store=self.store.address,
                why="a test",
                announced_at=datetime.now(UTC),
            )
        )

    def restart(self, **options: object) -> None:
        """Stop, and start again, perhaps with other settings."""
        self.settings = self.settings.model_copy(update=options)
        self.close()
        self.database = Database(self.folder / "trainer.sqlite")
        self.learning = self._learning()

    def feed(self, *events: Event, first: int = 0) -> None:
        """One mini-batch."""
        self.learning.step(records(events, first))

    def close(self) -> None:
        """Stop."""
        self.database.__exit__()

    @property
    def dead(self) -> list[DeadLetter]:
        """The letters that were sent."""
        return [
            read_dead_letter(Record(out.topic, 0, 0, out.key, out.value, out.headers, 0))
            for out in self.letters
        ]

    @property
    def kept(self) -> dict[str, str]:
        """The replay buffer."""
        return {listing: label for listing, label, _ in self.database.kept.listings()}

    @property
    def held_out(self) -> list[str]:
        """The hold-out."""
        return self.database.kept.items(held_out=True).ids

    def count(self, outcome: str) -> float:
        """How often something happened."""
        name = "roomstream_trainer_events_total"
        return self.metrics.registry.get_sample_value(name, {"outcome": outcome}) or 0

    def _learning(self) -> Learning:
        self.metrics = TrainerMetrics()
        return Learning(
            self.database, self.settings, "", self.live, self.letters.extend, self.metrics
        )


def slda(bench: Bench) -> StreamingLda:
    """The member of the mixture that depends on nothing but the labels."""
    return StreamingLda.from_state(bench.learning.learner.state())


def uninterrupted(bench: Bench, numbers: Sequence[int]) -> StreamingLda:
    """A learner that learned these labels in one go."""
    learner = StreamingLda()
    for label in ROOM_TYPES:
        learner.add_class(label)
    events = [labelled(number) for number in numbers]
    rows = [row for row in bench.live.encode([event.title for event in events]) if row is not None]
    learner.learn(Examples.of(rows), [event.label for event in events])
    return learner
