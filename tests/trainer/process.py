"""A real trainer process beside a real broker, and what it says about itself."""

import contextlib
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

import msgspec

from artefacts.manifest import Manifest
from artefacts.store import Store
from roomstream.live import live_announcement, make_live
from runtime.settings import KafkaSettings, SharedSettings, settings_environment
from schemas.events import Event, LabelledEvent, ReleaseAnnouncement
from schemas.topics import Topic
from tests.kafka_io import message, send
from tests.processes import eventually, own_port
from tests.releases import ROOM_TYPES, tiny_release

_METRIC = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


class Deployment:
    """
    Topics, store and database of one test, and the trainer that runs on them. A context manager.

    Args:
        kafka: A broker.
        prefix: Topics that are there.
        folder: For store, database and log.
    """

    def __init__(self, kafka: KafkaSettings, prefix: str, folder: Path) -> None:
        self.kafka = kafka
        self.shared = SharedSettings(
            store=f"file://{folder / 'store'}", cache=folder / "cache", topic_prefix=prefix
        )
        self.store = Store(self.shared.store)
        self.database = folder / "trainer.sqlite"
        self.port = own_port()
        self.log_file = folder / "trainer.log"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def start(self, **variables: object) -> None:
        """Run a trainer; variables without their prefix `TRAINER_`, in lower case."""
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "roomstream", "trainer"],
                env=self._environment(variables),
                stdout=log,
                stderr=log,
            )

    def run(self, **variables: object) -> int:
        """Run a trainer to its end; its exit code."""
        self.start(**variables)
        assert self.process is not None
        return self.process.wait(60)

    def ready(self, **variables: object) -> None:
        """Run a trainer and wait until it reads labels."""
        self.start(**variables)
        eventually(self.is_ready, "/readyz says 200")

    def stop(self, signal: int = 15) -> int:
        """Send a signal; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal)
        return self.process.wait(30)

    def is_ready(self) -> bool:
        """What /readyz says."""
        assert self.process is not None
        assert self.process.poll() is None, self.log_file.read_text()
        try:
            return bool(json.loads(self.page("readyz"))["ready"])
        except (urllib.error.URLError, ConnectionError):
            return False

    def page(self, path: str) -> str:
        """What the trainer's port answers."""
        address = f"http://127.0.0.1:{self.port}/{path}"
        with urllib.request.urlopen(address, timeout=5) as page:
            return str(page.read().decode())

    def metrics(self) -> dict[str, float]:
        """What /metrics says: `name` or `name{labels}` to number."""
        return {
            f"{name}{{{labels}}}" if labels else name: float(value)
            for name, labels, value in _METRIC.findall(self.page("metrics"))
        }

    def events(self, outcome: str) -> float:
        """How many messages ended so, since the process started."""
        return self.metrics()[f'roomstream_trainer_events_total{{outcome="{outcome}"}}']

    def logs(self, event: str) -> list[dict[str, Any]]:
        """The log lines of an event."""
        found = []
        for line in self.log_file.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                found.append(json.loads(line))
        return [line for line in found if line.get("event") == event]

    def base(self, scale: float = 0, seed: int = 0) -> Manifest:
        """Make a tiny release live; with `scale` 0 it knows nothing."""
        manifest = tiny_release(self.store, labels=ROOM_TYPES, scale=scale, seed=seed)
        if not scale:
            manifest = msgspec.structs.replace(manifest, learner="untrained")
            self.store.publish(manifest)
        make_live(self.kafka, self.shared, manifest.release, "the test's base")
        return manifest

    def live(self) -> ReleaseAnnouncement:
        """The last announcement."""
        found = live_announcement(self.kafka, self.shared)
        assert found is not None
        return found

    def live_manifest(self) -> Manifest:
        """The release that is live."""
        announcement = self.live()
        return self.store.manifest(announcement.release, announcement.manifest_digest)

    def learned(self) -> int:
        """How many labels the live release has learned."""
        return sum(self.live_manifest().lineage.labels_by_class.values())

    def send(self, *events: Event) -> None:
        """Send labels, feedback and deletions."""
        for topic in (Topic.LABELLED, Topic.DELETIONS):
            ours = [e for e in events if (topic is Topic.LABELLED) == _is_labelled(e)]
            if ours:
                send(
                    self.kafka,
                    topic.named(self.shared.topic_prefix),
                    [message(event, event.listing_id) for event in ours],  # type: ignore[attr-defined]
                )

    def _environment(self, variables: dict[str, object]) -> dict[str, str]:
        ours = {"database": self.database, "metrics_port": self.port, "release_wait_seconds": 5}
        trainer = {f"TRAINER_{k.upper()}": str(v) for k, v in (ours | variables).items()}
        return {
            **os.environ,
            **settings_environment(self.kafka),
            "ROOMSTREAM_STORE": self.shared.store,
            "ROOMSTREAM_CACHE": str(self.shared.cache),
            "ROOMSTREAM_TOPIC_PREFIX": self.shared.topic_prefix,
            **trainer,
        }


def _is_labelled(event: Event) -> bool:
    return isinstance(event, LabelledEvent) or hasattr(event, "accepted")
