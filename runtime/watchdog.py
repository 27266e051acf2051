"""A hang inside a client library ends the process, so that a supervisor can start it afresh."""

import os
import sys
import threading
import time
import traceback
from typing import Self

import structlog

from schemas.errors import ExitCode

_log = structlog.get_logger(__name__)


class Watchdog:
    """
    Ends the process with exit code 75 when a watched piece of work takes too long.

    Use it as a context manager around the work; time between two pieces is not watched.

    Args:
        limit_seconds: How long one piece may take.
    """

    def __init__(self, limit_seconds: float) -> None:
        self._limit_seconds = limit_seconds
        self._deadline: float | None = None
        self._closed = threading.Event()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def __enter__(self) -> Self:
        self._deadline = time.monotonic() + self._limit_seconds
        return self

    def __exit__(self, *_: object) -> None:
        self._deadline = None

    def begin_again(self) -> None:
        """Give a long piece of work that gets on the whole time again."""
        if self._deadline is not None:
            self._deadline = time.monotonic() + self._limit_seconds

    def close(self) -> None:
        """Watch no more."""
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.wait(min(1.0, self._limit_seconds / 4)):
            deadline = self._deadline
            if deadline is not None and time.monotonic() > deadline:
                _log.error(
                    "hung: ending the process so that it can be started afresh",
                    limit_seconds=self._limit_seconds,
                    stacks=_stacks(),
                )
                sys.stderr.flush()
                os._exit(ExitCode.TRY_AGAIN)


def _stacks() -> str:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"{names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()
    )
