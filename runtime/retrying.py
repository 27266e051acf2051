"""Trying again what the world may mend: with back-off and jitter, inside limits, until told to stop."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from runtime.stopping import Stopped
from schemas.errors import TryAgain

_log = structlog.get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class BackOff:
    """
    How patiently something is tried again.

    Attributes:
        first_seconds: The wait after the first failure; it doubles with every further one.
        most_seconds: The longest wait.
    """

    first_seconds: float = 0.5
    most_seconds: float = 10.0

    def wait_seconds(self, failures: int) -> float:
        """The wait after so many failures, with jitter, so that processes do not try in step."""
        doublings = min(failures - 1, 60)  # a float cannot hold many more
        wait = min(self.most_seconds, self.first_seconds * 2.0**doublings)
        return wait * random.uniform(0.8, 1.2)  # noqa: S311 - no secret depends on it


def retry(
    attempt: Callable[[], T],
    stop: threading.Event,
    limit_seconds: float,
    back_off: BackOff = BackOff(),
) -> T:
    """
    Try until it works, the limit has passed, or the process is told to stop.

    Args:
        attempt: What to try. Only `TryAgain` is tried again: a wrong setting stays wrong.
        stop: Ends the wait.
        limit_seconds: So long after the first attempt began, none is begun any more.
        back_off: How long to wait in between.

    Returns:
        What the attempt that worked returned.

    Raises:
        Stopped: The process was told to stop.
        TryAgain: What the last attempt raised.
    """
    deadline = time.monotonic() + limit_seconds
    failures = 0
    while not stop.is_set():
        try:
            return attempt()
        except TryAgain as error:
            failures += 1
            wait = back_off.wait_seconds(failures)
            left = deadline - time.monotonic()
            if left <= 0:
                raise
            wait = min(wait, left)
            _log.warning("trying again", why=str(error), in_seconds=round(wait, 1))
            stop.wait(wait)
    raise Stopped
