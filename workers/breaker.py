"""The circuit at work: it judges windows by their outcomes, and is seen by probes, metrics and log."""

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from runtime.health import Health
from runtime.retrying import BackOff
from workers.circuit import PROBE_EVENTS, Circuit
from workers.metrics import WorkerMetrics
from workers.outcomes import Outcome, Window
from workers.settings import WorkerSettings

_log = structlog.get_logger(__name__)

_BACK_OFF = BackOff(first_seconds=1.0, most_seconds=15.0)


class Breaker:
    """
    Stands between answering and delivering.

    Args:
        settings: The limit, and how many events are judged together.
        live: Names the release that would answer now.
        metrics: Shows whether the circuit is open.
        health: Its condition `circuit` is met while it is closed.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        live: Callable[[], str],
        metrics: WorkerMetrics,
        health: Health,
    ) -> None:
        self._circuit = Circuit(settings.circuit_share, settings.circuit_events, _BACK_OFF)
        self._live = live
        self._metrics = metrics
        self._health = health
        self._cause = ""
        self._since = ""
        health.set("circuit", True, "closed")

    def most(self, events: int) -> int:
        """The most events of the next window, where so many would be delivered normally."""
        return min(events, PROBE_EVENTS) if self._circuit.is_open else events

    @property
    def is_open(self) -> bool:
        """Whether nothing is delivered until a probe succeeds."""
        return self._circuit.is_open

    def waits(self) -> bool:
        """Whether nothing may be answered now: the circuit is open, and it is too early to probe."""
        if not self._circuit.is_open:
            return False
        now = time.monotonic()
        waits = self._circuit.waits(self._live(), now)
        self._show(now)
        return waits

    def admits(self, window: Window) -> bool:
        """Judge a window; whether it may be delivered. If not, its events must come again."""
        was_open = self._circuit.is_open
        # Tombstones and poison say nothing about the world.
        telling = [x for x in window.outcomes if x.kind == "classified" or x.systemic]
        now = time.monotonic()
        admitted = self._circuit.admits([x.systemic for x in telling], window.release, now)
        if not admitted:
            self._cause = _most_common_cause(telling)
            if not was_open:
                self._opened()
            self._show(now)
        elif was_open:
            self._closed(window.release)
        return admitted

    def _opened(self) -> None:
        self._since = datetime.now(UTC).isoformat(timespec="seconds")
        self._metrics.circuit_open.set(1)
        self._metrics.circuit_trips.inc()
        _log.error(
            "circuit opened: nothing is delivered until a probe succeeds",
            share=round(self._circuit.share, 3),
            why=self._cause,
        )

    def _closed(self, release: str) -> None:
        self._metrics.circuit_open.set(0)
        self._health.set("circuit", True, "closed")
        _log.info("circuit closed: delivering again", open_since=self._since, release=release)

    def _show(self, now: float) -> None:
        circuit = self._circuit
        wait = max(0.0, circuit.probe_at - now)
        self._health.set(
            "circuit",
            False,
            f"open since {self._since}: {circuit.share:.0%} of the listings judged last failed "
            f"({self._cause}). They wait on their topic. If a release is at fault, roll back with "
            "'roomstream releases rollback'; if the schema is unknown, upgrade the worker. "
            f"Next probe in {wait:.0f} s, or at once with another release.",
        )


def _most_common_cause(telling: list[Outcome]) -> str:
    """The class of error that came most often, with one of its messages."""
    letters = [dict(x.messages[0].headers) for x in telling if x.systemic]
    (error, _), *_ = Counter(letter["dead-error"] for letter in letters).most_common(1)
    message = next(letter["dead-message"] for letter in letters if letter["dead-error"] == error)
    return f"{error.decode()}: {message.decode().rstrip('.')}"
