"""The processes of a demo: workers and the trainer, supervised as in production."""

import contextlib
import threading
import time
from collections.abc import Mapping
from typing import Self

from roomstream.demo.label_clock import LabelClock
from roomstream.demo.options import WORKERS
from roomstream.demo.readings import WorkerReadings, is_ready
from roomstream.demo.stage import WORKER_GROUP, Stage
from roomstream.ports import reserved_port
from runtime.supervisor import Child, Supervisor
from schemas.errors import RoomstreamError

READ_SECONDS = 0.25
TRAINER = "trainer"


class Fleet:
    """
    Workers and trainer. A context manager: they run inside it, and have drained when it is left.

    Args:
        stage: Where they run.
        review_share: The share of listings that workers send to people at random.

    Attributes:
        readings: What each worker says about itself, by name.
        crashes: The end of the log of a process, as it was when it had to be started again.
    """

    def __init__(self, stage: Stage, review_share: float) -> None:
        self._stage = stage
        self._ports = contextlib.ExitStack()
        self.readings = {f"worker-{slot}": WorkerReadings(self._port()) for slot in range(WORKERS)}
        self._trainer_port = self._port()
        self._workers = [
            self._child(name, "worker", _worker_variables(stage, name, readings.port, review_share))
            for name, readings in self.readings.items()
        ]
        self._trainer = self._child(
            TRAINER, "trainer", _trainer_variables(stage, self._trainer_port)
        )
        self._children = [self._trainer, *self._workers]
        self._noted = {child.name: 0 for child in self._children}
        self.crashes: list[str] = []
        self._stopping = threading.Event()
        self._exit_code: int | None = None
        self._thread = threading.Thread(target=self._supervise, name="supervisor", daemon=True)

    @property
    def worker_restarts(self) -> int:
        """How often a worker was started again."""
        return sum(child.restarts for child in self._workers)

    @property
    def trainer_restarts(self) -> int:
        """How often the trainer was started again."""
        return self._trainer.restarts

    @property
    def reloads(self) -> dict[str, int]:
        """How many releases each worker took up without a stop."""
        return {name: readings.reloads for name, readings in self.readings.items()}

    @property
    def ready(self) -> bool:
        """Whether all of them say so."""
        ports = [self._trainer_port, *(readings.port for readings in self.readings.values())]
        return all(is_ready(port) for port in ports)

    def check(self) -> None:
        """
        Raise if the supervisor has given up on a process.

        Raises:
            RoomstreamError: Shows the end of the logs.
        """
        if self._exit_code is not None and not self._stopping.is_set():
            raise RoomstreamError(
                f"A process of the demo cannot work (exit code {self._exit_code}).\n{self.logs}"
            )

    @property
    def logs(self) -> str:
        """The ends of all logs."""
        return "\n".join(log_tail(self._stage, child.name, lines=8) for child in self._children)

    def watch(self, clock: LabelClock, stopping: threading.Event) -> None:
        """Read the workers' metrics until told to stop."""
        while not stopping.wait(READ_SECONDS):
            for readings in self.readings.values():
                readings.read()
            self._note_crashes()
            releases = {name: readings.release for name, readings in self.readings.items()}
            clock.live(releases, time.monotonic())

    def _note_crashes(self) -> None:
        for child in self._children:
            if child.restarts > self._noted[child.name]:
                self._noted[child.name] = child.restarts
                self.crashes.append(log_tail(self._stage, child.name, lines=8))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._ports.close()

    def _port(self) -> int:
        return self._ports.enter_context(reserved_port())

    def _supervise(self) -> None:
        self._exit_code = Supervisor(self._children).run(self._stopping)

    def _child(self, name: str, command: str, variables: Mapping[str, str]) -> Child:
        return Child(
            name,
            self._stage.command(command),
            self._stage.environment(**variables),
            self._stage.log(name),
        )


def log_tail(stage: Stage, name: str, lines: int = 15) -> str:
    """The end of a process's log, under its name."""
    path = stage.log(name)
    text = path.read_text(errors="replace") if path.exists() else ""
    tail = "\n".join(text.splitlines()[-lines:]) or "(empty)"
    return f"--- the end of the log of {name} ---\n{tail}"


def _worker_variables(stage: Stage, slot: str, port: int, review_share: float) -> dict[str, str]:
    return {
        "WORKER_GROUP": WORKER_GROUP,
        "WORKER_SLOT": slot,
        "WORKER_METRICS_PORT": str(port),
        "WORKER_THREADS": "1",
        "WORKER_SESSION_TIMEOUT_SECONDS": "6",
        "WORKER_REVIEW_SHARE": str(review_share),
    }


def _trainer_variables(stage: Stage, port: int) -> dict[str, str]:
    return {
        "TRAINER_DATABASE": str(stage.database),
        "TRAINER_METRICS_PORT": str(port),
        "TRAINER_RELEASE_INTERVAL_SECONDS": "2",
        "TRAINER_SESSION_TIMEOUT_SECONDS": "6",
    }
