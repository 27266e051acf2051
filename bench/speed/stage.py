"""Topics with events to answer, a release that is live, and workers that run there."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from artefacts.store import Store
from bench.speed.models import Size, saved
from roomstream.listings import Listing, listing_message
from roomstream.live import make_live
from roomstream.reading import TopicReader
from roomstream.sending import Sender
from runtime.settings import KafkaSettings, SharedSettings, load, settings_environment
from runtime.topics import create_topics
from schemas.errors import TryAgain
from schemas.topics import Topic
from trainer.base_import import Imported, import_base

PARTITIONS = 4
_PATIENCE_SECONDS = 180
_LOG_CHARACTERS = 2_000

Process = subprocess.Popen[bytes]


@dataclass(frozen=True)
class Model:
    """
    A model of random weights, as a release in a store.

    Attributes:
        folder: Holds the model, the store and the cache of workers.
        imported: The release.
    """

    folder: Path
    imported: Imported

    @classmethod
    def made(cls, size: Size, folder: Path, *, int8: bool = False) -> "Model":
        """Make one in a folder, of 32-bit floats or of 8-bit integers."""
        # Random weights doubt everything: each answer would ask for review too. Their loss says nothing.
        source, accepted = str(saved(size, folder / "model")), 1.0 if int8 else None
        return cls.of(import_base(source, review_below=0, int8_loss=accepted), folder)

    @classmethod
    def of(cls, imported: Imported, folder: Path) -> "Model":
        """Publish one in a folder."""
        imported.publish(Store(f"file://{folder / 'store'}"))
        return cls(folder, imported)

    @property
    def source(self) -> str:
        """What 'roomstream base import' and transformers load."""
        return str(self.folder / "model")


@dataclass(frozen=True)
class Stage:
    """
    Topics of their own, on which a release is live.

    Attributes:
        kafka: The brokers.
        shared: Where the release is, and what the topics are called.
    """

    kafka: KafkaSettings
    shared: SharedSettings

    @classmethod
    def made(cls, model: Model, servers: str) -> "Stage":
        """Create topics, and announce the release."""
        kafka = load(KafkaSettings, bootstrap_servers=servers)
        shared = load(
            SharedSettings,
            store=f"file://{model.folder / 'store'}",
            cache=model.folder / "cache",
            topic_prefix=f"bench-{uuid.uuid4().hex[:8]}.",
            log_level="ERROR",
        )
        create_topics(kafka, shared.topic_prefix, PARTITIONS, replication_factor=1)
        make_live(kafka, shared, model.imported.manifest.release, "the benchmark begins")
        return cls(kafka, shared)

    def topic(self, topic: Topic) -> str:
        """The name of a topic here."""
        return topic.named(self.shared.topic_prefix)

    @contextmanager
    def sender(self) -> Iterator[Callable[[str, str], None]]:
        """Send listings: a function of event id and title."""
        with Sender(self.kafka, self.shared.topic_prefix) as sender:

            def send(event_id: str, text: str) -> None:
                message = listing_message(Listing(event_id, text), event_id, datetime.now(UTC))
                sender.send(Topic.LISTINGS, message.key, message.value, message.headers)

            yield send

    def send(self, texts: Sequence[str]) -> list[str]:
        """Send a listing for each title, and return their ids, which are none of earlier ones."""
        turn = uuid.uuid4().hex[:8]
        with self.sender() as send:
            for number, text in enumerate(texts):
                send(f"{turn}-{number}", text)
        return [f"{turn}-{number}" for number in range(len(texts))]

    def results_reader(self) -> TopicReader:
        """Reads results from the first one on."""
        return TopicReader(self.kafka, self.shared.topic_prefix, Topic.CLASSIFIED)

    def workers(self, delivery: str, ports: Sequence[int], *options: str) -> list[list[str]]:
        """The commands of our workers, one for each metrics port; 0 is any port."""
        group = self.shared.topic_prefix
        start = [
            sys.executable,
            "-P",
            "-m",
            "roomstream",
            "worker",
            "--delivery",
            delivery,
            *options,
        ]
        return [
            [*start, "--group", group, "--slot", f"{group}{number}", "--metrics-port", str(port)]
            for number, port in enumerate(ports)
        ]

    def trainer(self, database: Path, port: int) -> list[str]:
        """The command of a trainer that begins with nothing."""
        start = [sys.executable, "-P", "-m", "roomstream", "trainer"]
        return [*start, "--database", str(database), "--metrics-port", str(port)]

    @contextmanager
    def running(self, commands: Sequence[Sequence[str]]) -> Iterator[list[Process]]:
        """
        Run processes with the settings of this stage, one core each, and end them.

        Raises:
            TryAgain: As the block does, with what they logged.
        """
        environment = {
            **os.environ,
            **settings_environment(self.kafka),
            **settings_environment(self.shared),
            "OMP_NUM_THREADS": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }
        with tempfile.TemporaryFile() as log:
            processes = [
                subprocess.Popen(command, env=environment, stdout=log, stderr=log)
                for command in commands
            ]
            try:
                yield processes
            except TryAgain as error:
                log.seek(0)
                raise TryAgain(f"{error}\n{log.read().decode()[-_LOG_CHARACTERS:]}") from error
            finally:
                _end(processes)

    def results(self, listings: Sequence[str], processes: Sequence[Process]) -> list[float]:
        """
        Wait for the results of these listings.

        Returns:
            When each was written, in seconds since 1970, in order.

        Raises:
            TryAgain: A process has ended, or they do not come.
        """
        with self.results_reader() as reader:
            return results_written(reader, listings, processes)


def results_written(
    reader: TopicReader, listings: Sequence[str], processes: Sequence[Process]
) -> list[float]:
    """
    Wait for the results of these listings; a worker that repeats what it answered before gains nothing.

    Returns:
        When the first of each was written, in seconds since 1970, in order.

    Raises:
        TryAgain: A process has ended, or they do not come.
    """
    missing, written = set(listings), []
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while missing:
        for record in reader.poll(0.5):
            listing = (record.key or b"").decode()
            if listing in missing:
                missing.remove(listing)
                written.append(record.timestamp_ms / 1000)
        ended = sum(each.poll() is not None for each in processes)
        if ended or time.monotonic() > give_up_at:
            raise TryAgain(
                f"{len(written)} of {len(listings)} results came; {ended} workers have ended."
            )
    return sorted(written)


def _end(processes: Sequence[Process]) -> None:
    for each in processes:
        each.send_signal(signal.SIGTERM)
    for each in processes:
        try:
            each.wait(30)
        except subprocess.TimeoutExpired:
            each.kill()
            each.wait()
