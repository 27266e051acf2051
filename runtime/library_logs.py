"""What libraries say while a broker is away: JSON lines, and few of them."""

import logging
import threading
import time

import structlog

_log = structlog.get_logger(__name__)

_OURS = "roomstream"


class OncePer(logging.Filter):
    """
    Let each kind of line of a library through once in a while.

    aiokafka writes thousands of lines a second while a broker is away, all of them the same.

    Args:
        seconds: So long the same kind (logger and message, before its arguments) is held back.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written; ours always are."""
        if record.name == _OURS:
            return True
        kind, now = (record.name, str(record.msg)), time.monotonic()
        if now - self._last.get(kind, -self._seconds) < self._seconds:
            return False
        self._last[kind] = now
        return True


def tame_library_logs(seconds: float = 10) -> None:
    """Hold back repeated lines of libraries, and log what ends one of their threads."""
    once = OncePer(seconds)
    for handler in logging.getLogger().handlers:
        handler.addFilter(once)
    # It warns of every step of a client over 0.1 s: the processor was busy, and nothing can be done.
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)
    threading.excepthook = _thread_ended


def _thread_ended(ended: threading.ExceptHookArgs) -> None:
    _log.warning(
        "a thread ended with an error",
        thread=ended.thread.name if ended.thread else None,
        why=repr(ended.exc_value),
    )
