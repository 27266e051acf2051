"""What a benchmark ran on."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path


def machine(*libraries: str) -> dict[str, str | int | float]:
    """
    Describe this machine.

    Args:
        libraries: Distributions whose versions matter.

    Returns:
        Processor, cores, how busy they were in the last minute, versions and the time.
    """
    model = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": next(iter(model), platform.processor()),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: version(name) for name in libraries},
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
