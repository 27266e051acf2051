"""Worker processes as they run in production: started, scraped, signalled, and read afterwards."""

import http.client
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from prometheus_client.parser import text_string_to_metric_families

from runtime.settings import KafkaSettings, SharedSettings, settings_environment
from tests.processes import eventually, own_port

Labels = tuple[tuple[str, str], ...]

_LAST_LINES = 40

WORKER = (sys.executable, "-P", "-m", "roomstream", "worker")


class WorkerProcess:
    """
    A worker with settings by environment, its log in a file. A context manager.

    Args:
        settings: What the environment adds.
        log: Where its lines go.
        command: What to run, if not `roomstream worker` as it is.
    """

    def __init__(
        self, settings: dict[str, str], log: Path, command: Sequence[str] = WORKER
    ) -> None:
        self.port = own_port()
        self._log = log
        self.environment = {
            **os.environ,
            "WORKER_SESSION_TIMEOUT_SECONDS": "6",
            "WORKER_METRICS_PORT": str(self.port),
            **settings,
        }
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def ended(self, seconds: float = 30) -> int:
        """Wait for its end; the exit code."""
        return self.process.wait(seconds)

    def stop(self, seconds: float = 20) -> int:
        """Ask it to drain; the exit code."""
        self.signal(signal.SIGTERM)
        return self.ended(seconds)

    def lines(self) -> list[dict[str, Any]]:
        """Its log; a line that is no JSON object fails the test."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def last_lines(self) -> list[str]:
        """The end of its log as it is."""
        return self._log.read_text(errors="replace").splitlines()[-_LAST_LINES:]

    def get(self, path: str, port: int | None = None) -> tuple[int, str]:
        """Ask its port; status 0 where nobody answers."""
        address = f"http://127.0.0.1:{port or self.port}{path}"
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except (OSError, http.client.HTTPException):  # it may end in the middle of an answer
            return 0, ""

    def ready(self) -> bool:
        """Whether it would get traffic."""
        return self.get("/readyz")[0] == 200

    def metric(self, name: str) -> dict[Labels, float]:
        """Scrape one metric: its values by labels."""
        found = {}
        for family in text_string_to_metric_families(self.get("/metrics")[1]):
            for sample in family.samples:
                if sample.name == f"roomstream_worker_{name}":
                    found[tuple(sorted(sample.labels.items()))] = sample.value
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()


@dataclass
class Fleet:
    """Starts workers of one group on one broker, store and topics, and leaves none behind."""

    kafka: KafkaSettings
    shared: SharedSettings
    folder: Path
    started: list[WorkerProcess] = field(default_factory=list)

    def start(
        self, ready: bool = True, command: Sequence[str] = WORKER, **settings: str
    ) -> WorkerProcess:
        """Start one more, and wait until it has partitions unless told otherwise."""
        environment = {
            **settings_environment(self.kafka),
            **settings_environment(self.shared),
            **settings,
        }
        log = self.folder / f"worker-{len(self.started)}.log"
        worker = WorkerProcess(environment, log, command)
        self.started.append(worker)
        if ready:
            eventually(worker.ready, "worker is ready", 40)
        return worker

    def __iter__(self) -> Iterator[WorkerProcess]:
        return iter(self.started)

    def close(self) -> None:
        """Kill what still runs; tell how each ended and its last lines, which a failure shows."""
        for number, worker in enumerate(self.started):
            code = worker.process.poll()
            worker.__exit__()
            end = "was running" if code is None else f"had ended with {code}"
            sys.stderr.write("\n".join([f"worker {number} {end}", *worker.last_lines(), ""]))
