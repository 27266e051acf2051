"""Logs are JSON lines on standard error."""

import json
from typing import Any

from tests.processes import run


def logged(code: str, service: str = "worker", level: str = "INFO") -> list[dict[str, Any]]:
    """The lines of a process that says something after it has set up its logs."""
    done = run(
        "import logging, structlog\nfrom runtime.logs import configure_logs\n"
        f"configure_logs({service!r}, {level!r})\n{code}"
    )
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_a_line_is_an_object_with_service_level_and_time() -> None:
    """And with what was said; letters of all languages stand as they are."""
    (line,) = logged("structlog.get_logger().info('gestartet', stadt='Málaga 🏠', teile=3)")

    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "gestartet",
        "stadt": "Málaga 🏠",
        "teile": 3,
        "service": "worker",
        "level": "info",
    }


def test_every_thread_says_which_service_it_is() -> None:
    """The pipeline, the follower and the watchdog run in threads of their own."""
    (line,) = logged(
        "import threading\n"
        "thread = threading.Thread(target=lambda: structlog.get_logger().warning('x'))\n"
        "thread.start(); thread.join()",
        service="trainer",
    )

    assert (line["service"], line["level"]) == ("trainer", "warning")


def test_facts_of_the_process_are_in_every_line() -> None:
    """Such as the slot of a worker, for several of them write to one log."""
    done = run(
        "import structlog\nfrom runtime.logs import configure_logs\n"
        "configure_logs('worker', slot='0-1')\nstructlog.get_logger().info('drained')"
    )

    assert json.loads(done.stderr)["slot"] == "0-1"


def test_the_level_is_the_least_that_is_logged() -> None:
    """What is below it is not there."""
    say = "log = structlog.get_logger(); log.debug('d'); log.info('i'); log.warning('w')"
    found = {level: [line["event"] for line in logged(say, level=level)] for level in LEVELS}

    assert found == {"DEBUG": ["d", "i", "w"], "INFO": ["i", "w"], "WARNING": ["w"], "ERROR": []}


LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def test_an_exception_is_in_its_line() -> None:
    """A traceback over many lines would tear the log apart."""
    (line,) = logged(
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    structlog.get_logger().exception('ended')"
    )

    assert (line["event"], line["level"]) == ("ended", "error")
    assert "ZeroDivisionError: division by zero" in line["exception"]


def test_libraries_log_from_warnings_on() -> None:
    """In the same shape, under their own name; their chatter is for DEBUG only."""
    say = "log = logging.getLogger('kafka.conn'); log.info('chatter %d', 1); log.warning('lost')"
    quiet, loud = logged(say), logged(say, level="DEBUG")

    assert [(line["event"], line["logger"], line["service"], line["level"]) for line in quiet] == [
        ("lost", "kafka.conn", "worker", "warning")
    ]
    assert [line["event"] for line in loud] == ["chatter 1", "lost"]


def test_what_json_does_not_know_is_still_logged() -> None:
    """A path, an exception or bytes in a line must not end the process that logs it."""
    (line,) = logged(
        "from pathlib import Path\n"
        "structlog.get_logger().info('x', path=Path('/a'), error=ValueError('b'), raw=b'\\xff')"
    )

    assert "/a" in line["path"]
    assert "b" in line["error"]
