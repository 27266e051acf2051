"""
Whether answers may be delivered: a circuit breaker (Nygard 2007), pure, with the time given to it.

Where most events die of what the world may mend, such as a broken release, delivering goes on until the
topic is drained into the dead-letter topic. So a window is judged before it is delivered. Too large a
share of failures opens the circuit: nothing is delivered any more, but from time to time a small window
of the same events is answered as a probe. The first probe that is good enough closes the circuit.
"""

from collections import deque
from collections.abc import Sequence

from runtime.retrying import BackOff

LEAST_EVENTS = 20
"""So many events are judged at least: a few bad ones after the start are no trend."""

PROBE_EVENTS = 8
"""The most events of a probe."""


class Circuit:
    """
    Judges windows of events, each failed or not.

    While it is closed, a window is judged together with the delivered events before it, `events` in
    all or as many as the window has. While it is open, a probe is judged alone.

    Args:
        limit: The largest share of failures that is delivered; 1 lets everything through.
        events: How many events are judged together.
        back_off: How long to wait for a probe; until as many events as are judged together were
            delivered again, another opening waits longer than the one before.

    Attributes:
        is_open: Nothing but probes may be answered.
        share: Of failures, among the events judged last.
        probe_at: Not before this time is a release that has failed probed again.
    """

    def __init__(self, limit: float, events: int, back_off: BackOff) -> None:
        self._limit = limit
        self._events = events
        self._back_off = back_off
        self._delivered: deque[bool] = deque(maxlen=events)
        self._refusals = 0
        self._failing_release = ""
        self.is_open = False
        self.share = 0.0
        self.probe_at = 0.0

    def waits(self, release: str, now: float) -> bool:
        """Whether it is too early for a probe; a release that has not failed yet is tried at once."""
        return self.is_open and now < self.probe_at and release == self._failing_release

    def admits(self, failed: Sequence[bool], release: str, now: float) -> bool:
        """
        Judge a window that was answered but not delivered yet.

        Args:
            failed: One an event that tells anything.
            release: What answered it.
            now: The time in seconds, by any clock that does not go back.

        Returns:
            Whether to deliver it. What is not delivered is forgotten here, and comes again.
        """
        judged = list(failed)
        if not self.is_open:
            judged = [*self._delivered, *judged][-max(self._events, len(judged)) :]
        self.share = sum(judged) / len(judged) if judged else 0.0
        enough = self.is_open or len(judged) >= min(LEAST_EVENTS, self._events)
        if enough and self.share > self._limit:
            self._refuse(release, now)
            return False
        self._deliver(failed)
        return True

    def _refuse(self, release: str, now: float) -> None:
        self.is_open = True
        self._refusals += 1
        self._failing_release = release
        self.probe_at = now + self._back_off.wait_seconds(self._refusals)

    def _deliver(self, failed: Sequence[bool]) -> None:
        if self.is_open:
            self.is_open = False
            self._delivered.clear()
        self._delivered.extend(failed)
        if len(self._delivered) == self._events:
            self._refusals = 0
