"""What the processes of a demo say about themselves on their metrics ports."""

import http.client
from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from roomstream.demo.figures import SummedCounter

HOST = "127.0.0.1"
TIMEOUT_SECONDS = 2.0


@dataclass
class WorkerReadings:
    """
    The worker's readings so far; its counters start anew when it does.

    Attributes:
        release: The release that it answers with; None while it does not say.
        reloads: Releases that it took up beside the running one.
    """

    port: int
    release: str | None = None
    _reloads: SummedCounter = field(default_factory=SummedCounter)

    @property
    def reloads(self) -> int:
        """Releases that it took up without a stop."""
        return int(self._reloads.total)

    def read(self) -> None:
        """Ask the worker once; one that does not answer has no release."""
        metrics = scrape(self.port)
        self.release = _live_release(metrics)
        loaded = metrics.get(("roomstream_worker_reloads_total", ("loaded",)))
        if loaded is not None:
            self._reloads.update(loaded)


Samples = Mapping[tuple[str, tuple[str, ...]], float]


def scrape(port: int) -> Samples:
    """The samples on a metrics port, by name and label values; none if nobody answers."""
    text = fetch(port, "/metrics")
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text or "")
        for sample in family.samples
    }


def is_ready(port: int) -> bool:
    """Whether the process behind a port says that it is ready."""
    return fetch(port, "/readyz") is not None


def fetch(port: int, path: str) -> str | None:
    """A page of a port of this machine; None if it does not answer with 200."""
    connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        text = response.read().decode()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return text if response.status == http.client.OK else None


def _live_release(metrics: Samples) -> str | None:
    named = [
        values[0]
        for (name, values), value in metrics.items()
        if name == "roomstream_worker_live_release_info" and value == 1
    ]
    return named[0] if len(named) == 1 else None
