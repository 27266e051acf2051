"""A worker or a trainer under the product's own supervisor, and what may be done to it."""

import os
import re
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from runtime.supervisor import Child, Patience, Supervisor
from schemas.errors import ExitCode
from tests.processes import gone

_LAG = re.compile(r'^roomstream_worker_lag_events\{partition="(\d+)"\}', re.MULTILINE)
_RESTLESS = Patience(first_seconds=0.2, most_seconds=1, failures=1_000_000)
# A process that has hardly begun does not know SIGTERM yet.
_DOCUMENTED = {ExitCode.DONE, ExitCode.TRY_AGAIN, -signal.SIGKILL, -signal.SIGTERM}


@dataclass
class _Watched(Child):
    """A child that remembers how it ended each time."""

    codes: list[int] = field(default_factory=list)

    def ended(self) -> int | None:
        code = super().ended()
        if code is not None:
            self.codes.append(code)
        return code


class Service:
    """
    A process that is wanted: started again whenever it ends, until it is asked to leave.

    Args:
        name: Such as `worker-0`.
        command: What to run.
        environment: Its settings.
        log: A file for its log.
        port: Where it answers probes.

    Attributes:
        environment: May be changed before it is started.
        wanted: Whether it should run.
        paused: Whether it was stopped by SIGSTOP.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        port: int,
    ) -> None:
        self.name, self.log, self.port = name, log, port
        self.environment = dict(environment)
        self.wanted = self.paused = False
        self._child = _Watched(name, command, self.environment, log)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def codes(self) -> list[int]:
        """How its processes ended, in order; minus the signal where one killed it."""
        return self._child.codes

    @property
    def strange(self) -> list[int]:
        """Of them, those that no document tells."""
        return sorted(set(self.codes) - _DOCUMENTED)

    def want(self) -> None:
        """Run it, if it does not."""
        self.wanted = True
        if self._thread is None or not self._thread.is_alive():
            self._stop.clear()
            self._thread = threading.Thread(target=self._supervise, name=self.name)
            self._thread.start()

    def tend(self) -> None:
        """Run it again if it ended by itself though it is wanted, as an orchestrator would."""
        if self.wanted:
            self.want()

    def leave(self) -> None:
        """Ask it to drain; does not wait."""
        self.wanted = False
        self._stop.set()

    def gone(self) -> int:
        """Ask it to drain and wait; the exit code of its last process."""
        self.leave()
        if self._thread is not None:
            self._thread.join()
        return self.codes[-1] if self.codes else ExitCode.DONE

    def signal(self, number: signal.Signals) -> bool:
        """Send its process a signal; whether there was one to send it to."""
        pid = self._child.pid
        if pid is None or gone(pid):
            return False
        os.kill(pid, number)
        return True

    def kill(self) -> bool:
        """End it as the kernel ends what takes too much memory; whether it ran."""
        return self.signal(signal.SIGKILL)

    def terminate(self) -> bool:
        """Let its process drain, and another one begin; whether it ran."""
        return self.signal(signal.SIGTERM)

    def pause(self) -> bool:
        """Let it do nothing at all; whether it ran."""
        self.paused = self.signal(signal.SIGSTOP)
        return self.paused

    def resume(self) -> None:
        """Let it go on as if nothing had been."""
        self.signal(signal.SIGCONT)
        self.paused = False

    def ready(self) -> bool:
        """What /readyz says."""
        return self.page("readyz")[0] == HTTPStatus.OK

    def partitions(self) -> list[int]:
        """Those that a worker has now, by its metrics."""
        return [int(found) for found in _LAG.findall(self.page("metrics")[1])]

    def page(self, path: str) -> tuple[int, str]:
        """What its port answers, and with which status; 0 where nobody does."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{path}", timeout=5) as page:
                return page.status, page.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def _supervise(self) -> None:
        Supervisor([self._child], _RESTLESS).run(self._stop)
