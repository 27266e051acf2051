"""Where a demo takes place: a working folder, a Kafka, topics of its own, and a store."""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from roomstream.brokers import EmbeddedBroker, KafkaNode
from roomstream.demo.options import DemoOptions
from roomstream.reading import committed_offsets
from runtime.kafka import kafka_arguments, probe
from runtime.permissions import TRAINER_GROUP
from runtime.settings import KafkaSettings, SharedSettings, env_name, load, settings_environment
from runtime.topics import create_topics
from schemas.topics import TOPICS, Topic

PARTITIONS = 4
WORKER_GROUP = "workers"
BROKER_DECIDES = -1


@dataclass(frozen=True)
class Stage:
    """
    Where a demo takes place.

    Attributes:
        folder: Logs, store, cache and the trainer's database.
        kafka: How to reach Kafka.
        shared: What workers and trainer share.
    """

    folder: Path
    kafka: KafkaSettings
    shared: SharedSettings

    @property
    def prefix(self) -> str:
        """What the names of the demo's topics begin with."""
        return self.shared.topic_prefix

    @property
    def group(self) -> str:
        """The workers' consumer group on the broker."""
        return self.prefix + WORKER_GROUP

    @property
    def database(self) -> Path:
        """The trainer's database."""
        return self.folder / "trainer.sqlite"

    def log(self, name: str) -> Path:
        """The log of a process."""
        return self.folder / "logs" / f"{name}.log"

    def command(self, *arguments: str) -> list[str]:
        """A `roomstream` command of this very installation."""
        return [sys.executable, "-P", "-m", "roomstream", *arguments]

    def environment(self, **variables: str) -> dict[str, str]:
        """The settings of a process, as variables."""
        return settings_environment(self.kafka) | settings_environment(self.shared) | variables

    def committed(self) -> dict[int, int]:
        """
        The workers' next offset in each partition of `listings`.

        Raises:
            KafkaError: The broker does not say, such as before the group has met.
        """
        return committed_offsets(self.kafka, self.group, Topic.LISTINGS.named(self.prefix))


@contextlib.contextmanager
def open_stage(options: DemoOptions) -> Iterator[Stage]:
    """
    Set the stage, and leave nothing of it behind.

    Raises:
        ConfigurationError: A setting is wrong, or topics cannot be made.
        TryAgain: The broker does not start or cannot be reached.
    """
    with _folder(options.keep) as folder, _kafka(options) as kafka:
        (folder / "logs").mkdir()
        shared = load(
            SharedSettings,
            store=f"file://{folder / 'store'}",
            topic_prefix=f"demo-{uuid4().hex[:8]}.",
            cache=folder / "cache",
            listen_host="127.0.0.1",
        )
        copies = 1 if options.bootstrap_servers is None else BROKER_DECIDES
        create_topics(kafka, shared.topic_prefix, PARTITIONS, copies)
        stage = Stage(folder, kafka, shared)
        try:
            with _without_settings():
                yield stage
        finally:
            if options.bootstrap_servers is not None and not options.keep:
                _remove_topics(stage)


@contextlib.contextmanager
def _folder(keep: bool) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="roomstream-demo-"))
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _kafka(options: DemoOptions) -> Iterator[KafkaSettings]:
    """The Kafka that was named, a node from KAFKA_HOME, or the embedded broker."""
    if options.bootstrap_servers is not None:
        kafka = load(KafkaSettings, bootstrap_servers=options.bootstrap_servers)
        probe(kafka)
        yield kafka
        return
    home = os.environ.get("KAFKA_HOME")
    with KafkaNode(Path(home)) if home else EmbeddedBroker() as broker:
        # Other KAFKA_ variables describe another Kafka than this one.
        yield KafkaSettings.model_construct(bootstrap_servers=broker.bootstrap_servers)


@contextlib.contextmanager
def _without_settings() -> Iterator[None]:
    """Keep the user's settings from the demo's processes: they are meant for other ones."""
    kafkas = {env_name(KafkaSettings, field) for field in KafkaSettings.model_fields}
    settings = {
        name: value
        for name, value in os.environ.items()
        if name in kafkas or name.startswith(("ROOMSTREAM_", "WORKER_", "TRAINER_"))
    }
    for name in settings:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(settings)


def _remove_topics(stage: Stage) -> None:
    """Leave somebody else's Kafka as it was. What fails here must not hide how the demo went."""
    with (
        contextlib.suppress(KafkaError),
        contextlib.closing(KafkaAdminClient(**kafka_arguments(stage.kafka))) as admin,
    ):
        admin.delete_topics([spec.topic.named(stage.prefix) for spec in TOPICS])
        admin.delete_groups([stage.group, stage.prefix + TRAINER_GROUP])
