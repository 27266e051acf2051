"""All checks, one after the other, each within a limit; none hides what the others find."""

import queue
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

from roomstream.doctor.clock import clock
from roomstream.doctor.connection import connection, security
from roomstream.doctor.findings import Check, Deployment, Finding
from roomstream.doctor.machine import disk, files, versions
from roomstream.doctor.release import live_release, store
from roomstream.doctor.topics import topics
from schemas.errors import RoomstreamError


class _Area(NamedTuple):
    name: str
    check: Check
    needs_connection: bool = False
    for_reviewers: bool = True  # they have Kafka alone


_AREAS = (
    _Area("connection", connection),
    _Area("security", security, needs_connection=True),
    _Area("topics", topics, needs_connection=True),
    _Area("store", store, for_reviewers=False),
    _Area("release", live_release, needs_connection=True, for_reviewers=False),
    _Area("clock", clock, needs_connection=True),
    _Area("disk", disk, for_reviewers=False),
    _Area("files", files),
    _Area("versions", versions),
)
_ALL_SECONDS = 30
_MOST_SECONDS = 12
_LEAST_SECONDS = 1


def examine(deployment: Deployment) -> Iterator[Finding]:
    """Look at everything, finding by finding, within about half a minute whatever hangs."""
    deadline = time.monotonic() + _ALL_SECONDS
    connected = True
    for area, check, needs_connection, for_reviewers in _AREAS:
        if deployment.role == "reviewer" and not for_reviewers:
            continue
        if needs_connection and not connected:
            yield Finding(area, "not checked", "No connection.", "Mend the connection first.")
            continue
        left = max(_LEAST_SECONDS, min(_MOST_SECONDS, deadline - time.monotonic()))
        for finding in within(left, area, check, deployment):
            yield finding
            connected = connected and (area, finding.state) != ("connection", "failed")


def within(seconds: float, area: str, check: Check, deployment: Deployment) -> Iterator[Finding]:
    """Run a check in a thread, and leave it there if it takes too long; errors are findings too."""
    found: queue.Queue[Finding | None] = queue.Queue()

    def work() -> None:
        try:
            for finding in check(deployment):
                found.put(finding)
        except RoomstreamError as error:
            found.put(Finding(area, "failed", str(error)))
        except Exception as error:  # noqa: BLE001 - one broken check must not hide the others
            says = f"This is a bug of the check: {error!r}."
            found.put(
                Finding(area, "failed", says, "Report it; the other lines hold all the same.")
            )
        found.put(None)

    deadline = time.monotonic() + seconds
    threading.Thread(target=work, name=f"doctor-{area}", daemon=True).start()
    try:
        while finding := found.get(timeout=max(0.0, deadline - time.monotonic())):
            yield finding
    except queue.Empty:
        yield Finding(
            area,
            "failed",
            f"No answer within {seconds:.0f} s.",
            "Check the network on the way there.",
        )
