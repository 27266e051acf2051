"""How many events one window may hold."""

BACKLOG_WINDOWS = 8
"""A backlog is answered in at least so many windows: one adds at most an eighth to a wait."""

BACKLOG_SECONDS = 4.0
"""A window takes no longer for a backlog: a rebalance and a stop wait for it."""

_SMOOTHING = 0.3
_GROWTH = 2


class WindowSize:
    """
    Adapts the size of a window so that one stays within a latency budget.

    It follows the measured time per event by an exponentially weighted mean, grows at most twofold at
    a time and shrinks at once, so that the first windows and a slower model are safe.

    Events that wait for longer than the budget do not notice it, and larger windows waste less padding:
    a backlog is answered in windows of an eighth of the time that it will take, or 4 seconds.

    Args:
        budget_seconds: How long one window may take.
        most: The largest size.
    """

    def __init__(self, budget_seconds: float, most: int) -> None:
        self._budget_seconds = budget_seconds
        self._most = most
        self._seconds_per_event: float | None = None
        self.events = min(8, most)

    def measured(self, events: int, seconds: float, waiting: int = 0) -> None:
        """
        Learn from a window.

        Args:
            events: That it held.
            seconds: That it took.
            waiting: Events that wait behind it.
        """
        if events <= 0:
            return
        latest = seconds / events
        before = self._seconds_per_event
        mean = latest if before is None else before + _SMOOTHING * (latest - before)
        self._seconds_per_event = mean
        backlog_seconds = min(waiting * mean / BACKLOG_WINDOWS, BACKLOG_SECONDS)
        budget_seconds = max(self._budget_seconds, backlog_seconds)
        affordable = self._most if mean <= 0 else int(min(budget_seconds / mean, self._most))
        self.events = max(1, min(affordable, self.events * _GROWTH))
