"""Keep child processes running: restart what ends, give up on what cannot work, drain at the end."""

import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from runtime.parent_death import dies_with_parent
from runtime.retrying import BackOff
from schemas.errors import ExitCode

_log = structlog.get_logger(__name__)

_TICK_SECONDS = 0.05


@dataclass(frozen=True)
class Patience(BackOff):
    """
    How patiently a child is restarted.

    Attributes:
        failures: So many failures within the window end the supervisor.
        window_seconds: How long a failure counts.
    """

    failures: int = 5
    window_seconds: float = 60.0


@dataclass
class Child:
    """
    A process to keep running.

    Attributes:
        name: For logs.
        command: What to run.
        environment: Variables in addition to ours.
        log: A file for its standard error, else ours.
        pid: Its process id while it runs.
        restarts: How often it was started again.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None
    pid: int | None = None
    restarts: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _failures: deque[float] = field(default_factory=deque)
    _start_at: float = 0.0

    def start(self) -> None:
        """Run it."""
        log = self.log.open("ab") if self.log else None
        try:
            self._process = subprocess.Popen(
                list(self.command),
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stderr=log,
                # A signal to our group (Ctrl-C) must not end it before it is told to drain.
                start_new_session=True,
                preexec_fn=dies_with_parent(),
            )
        finally:
            if log:
                log.close()
        self.pid = self._process.pid

    def ended(self) -> int | None:
        """Its exit code once it has ended, else None."""
        if self._process is None or (code := self._process.poll()) is None:
            return None
        self._process = self.pid = None
        return code

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)


class Supervisor:
    """
    Runs children until it is told to stop.

    A child that ends with 2 (configuration) would end so again, as would the others: all are stopped,
    and the supervisor returns that code. Any other end before it is told to stop, 0 too, is a failure,
    as is a child that cannot be started: it is started again with exponential back-off, and the others
    run on, until it fails too often.

    Args:
        children: What to run.
        patience: How patiently.
        grace_seconds: How long a child may drain after SIGTERM before it is killed.
    """

    def __init__(
        self, children: Sequence[Child], patience: Patience | None = None, grace_seconds: float = 20
    ) -> None:
        self.children = children
        self._patience = patience or Patience()
        self._grace_seconds = grace_seconds

    def run(self, stop: threading.Event) -> int:
        """
        Start the children and keep them running until `stop` is set or there is no point.

        Returns:
            The exit code for the supervising process.
        """
        try:
            while (code := self._tend()) is None and not stop.wait(_TICK_SECONDS):
                pass
            return ExitCode.DONE if code is None else code
        finally:
            self._drain()

    def _tend(self) -> int | None:
        for child in self.children:
            code = child.ended()
            if code is None and child.pid is None and time.monotonic() >= child._start_at:
                code = self._start(child)
            final = None if code is None else self._judge(child, code)
            if final is not None:
                return final
        return None

    def _start(self, child: Child) -> int | None:
        """Start a child, perhaps again; the exit code that it counts as where that fails."""
        try:
            child.start()
        except OSError as error:
            _log.error("cannot be started", child=child.name, why=str(error))
            return ExitCode.FAILED
        if not child._failures:
            _log.info("started", child=child.name, pid=child.pid)
            return None
        child.restarts += 1
        _log.info("restarted", child=child.name, pid=child.pid, restarts=child.restarts)
        return None

    def _judge(self, child: Child, code: int) -> int | None:
        if code == ExitCode.USAGE:
            _log.error("a restart will not help: stopping all", child=child.name, exit_code=code)
            return code
        now = time.monotonic()
        failures = child._failures
        failures.append(now)
        while failures[0] < now - self._patience.window_seconds:
            failures.popleft()
        if len(failures) >= self._patience.failures:
            _log.error(
                "fails too often: giving up; its own log lines say why",
                child=child.name,
                exit_code=code,
                failures=len(failures),
                within_seconds=self._patience.window_seconds,
            )
            return code if code > 0 else ExitCode.FAILED
        wait = self._patience.wait_seconds(len(failures))
        child._start_at = now + wait
        _log.warning(
            "ended: restarting", child=child.name, exit_code=code, in_seconds=round(wait, 2)
        )
        return None

    def _drain(self) -> None:
        for child in self.children:
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + self._grace_seconds
        while self._running() and time.monotonic() < deadline:
            time.sleep(_TICK_SECONDS)
        for child in self._running():
            _log.error("did not drain: killed", child=child.name, after_seconds=self._grace_seconds)
            child.signal(signal.SIGKILL)
        while self._running():
            time.sleep(_TICK_SECONDS)

    def _running(self) -> list[Child]:
        return [child for child in self.children if child.pid is not None and child.ended() is None]
