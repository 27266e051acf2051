"""The `roomstream` command in a process of its own."""

import os
import subprocess
import sys
import time


def run(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run it to its end, with some variables."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "roomstream", *arguments],
        env={**os.environ, "COLUMNS": "300", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def ten_seconds() -> float:
    """Ten seconds; more, in proportion, where the machine is too busy to start Python in one."""
    began = time.monotonic()
    run({}, "--version")
    return 10 * max(1.0, time.monotonic() - began)
