"""Real processes in tests: python that runs a few lines, and whether a process is gone."""

import atexit
import contextlib
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable

import psutil

from roomstream.ports import reserved_port

_PORTS = contextlib.ExitStack()
atexit.register(_PORTS.close)


def python(code: str) -> list[str]:
    """The command that runs some lines with everything of this tree in reach."""
    return [sys.executable, "-c", textwrap.dedent(code)]


def run(code: str, timeout_seconds: float = 30) -> subprocess.CompletedProcess[str]:
    """Run some lines in a process of their own to their end."""
    return subprocess.run(
        python(code), capture_output=True, text=True, timeout=timeout_seconds, check=False
    )


def start(code: str) -> subprocess.Popen[str]:
    """Run some lines in a process of their own; what it prints can be read."""
    return subprocess.Popen(python(code), stdout=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str]) -> str:
    """The next line that a process prints; empty if it ended instead."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def within(seconds: float, happened: Callable[[], bool]) -> bool:
    """Wait until something happened; whether it did in time."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def eventually(happened: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait until something happened, else fail with what it is."""
    assert within(seconds, happened), f"not within {seconds:g} s: {what}"


def own_port() -> int:
    """A port of this machine that nobody else is given while the tests run."""
    return _PORTS.enter_context(reserved_port())
