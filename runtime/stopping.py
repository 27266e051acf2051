"""SIGTERM and SIGINT ask a process to finish what it has begun."""

import signal
import threading
from queue import SimpleQueue
from types import FrameType

import structlog

_log = structlog.get_logger(__name__)


class Stopped(Exception):
    """The process was told to stop while it waited for the world."""


def stop_on_signals() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set. Call it from the main thread."""
    stop = threading.Event()
    # A handler runs in the midst of whatever the main thread does. If that is `stop.wait()`, setting
    # the event there would wait for a lock of this very thread; a SimpleQueue takes it at any time.
    received = SimpleQueue[int]()

    def listen() -> None:
        while True:
            name = signal.Signals(received.get()).name
            _log.info("stopping", signal=name)
            stop.set()

    def handle(number: int, _: FrameType | None) -> None:
        received.put(number)

    threading.Thread(target=listen, name="signals", daemon=True).start()
    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return stop
