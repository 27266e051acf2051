"""How many events one window may hold."""

_SMOOTHING = 0.3
_GROWTH = 2


class WindowSize:
    """
    Adapts the size of a window so that one stays within a latency budget.

    It follows the measured time per event by an exponentially weighted mean, grows at most twofold at
    a time and shrinks at once, so that the first windows and a slower model are safe.

    Args:
        budget_seconds: How long one window may take.
        most: The largest size.
    """

    def __init__(self, budget_seconds: float, most: int) -> None:
        self._budget_seconds = budget_seconds
        self._most = most
        self._seconds_per_event: float | None = None
        self.events = min(8, most)

    def measured(self, events: int, seconds: float) -> None:
        """Learn from a window of so many events that took so long."""
        if events <= 0:
            return
        latest = seconds / events
        before = self._seconds_per_event
        mean = latest if before is None else before + _SMOOTHING * (latest - before)
        self._seconds_per_event = mean
        affordable = self._most if mean <= 0 else int(min(self._budget_seconds / mean, self._most))
        self.events = max(1, min(affordable, self.events * _GROWTH))
