"""A command in a terminal of its own, as a person sits before it."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Self

_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """
    Runs `roomstream` before a real pseudo-terminal. A context manager.

    Attributes:
        shown: All that was shown so far, without colours and cursor movements.
    """

    def __init__(self, environment: Mapping[str, str], *arguments: str) -> None:
        self._end, inner = pty.openpty()
        self.shown = ""
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "roomstream", *arguments],
            env={**os.environ, **environment, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"},
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
        )
        os.close(inner)

    def press(self, keys: str, until: str) -> str:
        """Press keys, and wait for what they bring to the screen; that is what is new on it."""
        before = len(self.shown)
        os.write(self._end, keys.encode())
        return self.wait(until, before)

    def wait(self, until: str, since: int = 0, seconds: float = 30) -> str:
        """Wait until something is shown."""
        deadline = time.monotonic() + seconds
        while until not in self.shown[since:]:
            left = deadline - time.monotonic()
            assert left > 0, f"{until!r} was not shown, but: {self.shown[since:]}"
            if select.select([self._end], [], [], left)[0]:
                self.shown += _CONTROLS.sub("", os.read(self._end, 65536).decode(errors="replace"))
        return self.shown[since:]

    def ended(self) -> int:
        """Wait for the end; its exit code."""
        return self.process.wait(timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._end)
