"""The size of a window: bounded, careful when it grows, quick when it shrinks."""

from hypothesis import given
from hypothesis import strategies as st

from workers.window import BACKLOG_SECONDS, BACKLOG_WINDOWS, WindowSize

BUDGETS = st.floats(0.01, 60)
MOST = st.integers(1, 4096)
SECONDS = st.floats(0, 1e4, allow_nan=False)
WAITING = st.integers(0, 10**9)
WINDOWS = st.lists(st.tuples(st.integers(0, 5000), SECONDS, WAITING), max_size=40)


@given(BUDGETS, MOST, WINDOWS)
def test_a_window_stays_between_one_and_the_most(
    budget: float, most: int, windows: list[tuple[int, float, int]]
) -> None:
    """Whatever is measured, there is room for one event and never for more than allowed."""
    size = WindowSize(budget, most)
    sizes = [size.events]
    for window in windows:
        size.measured(*window)
        sizes.append(size.events)

    assert all(1 <= events <= most for events in sizes)


@given(BUDGETS, MOST, WINDOWS)
def test_a_window_at_most_doubles(
    budget: float, most: int, windows: list[tuple[int, float, int]]
) -> None:
    """One fast window is no reason to take in a thousand events next time."""
    size = WindowSize(budget, most)
    for window in windows:
        before = size.events
        size.measured(*window)

        assert size.events <= 2 * before


@given(BUDGETS, MOST, st.floats(1e-6, 1))
def test_a_steady_model_gets_the_largest_window_within_the_budget(
    budget: float, most: int, seconds_per_event: float
) -> None:
    """It converges: no smaller than the budget allows, and within it unless one event exceeds it."""
    size = WindowSize(budget, most)
    for _ in range(20):
        size.measured(size.events, size.events * seconds_per_event)

    affordable = max(1, min(int(budget / seconds_per_event), most))
    assert abs(size.events - affordable) <= 1
    assert size.events == 1 or size.events * seconds_per_event <= budget * 1.001


def test_a_slow_window_shrinks_the_next_one_at_once() -> None:
    """A model that has become a hundred times slower does not get a second full window."""
    size = WindowSize(0.5, 256)
    for _ in range(10):
        size.measured(size.events, size.events * 0.001)
    assert size.events == 256

    size.measured(256, 25.6)

    assert size.events <= 17


def test_a_window_recovers_after_a_hiccup() -> None:
    """One slow window, such as a broker that paused, is forgotten after a few good ones."""
    size = WindowSize(0.5, 256)
    size.measured(8, 60)
    for _ in range(30):
        size.measured(size.events, size.events * 0.001)

    assert size.events == 256


def test_an_empty_window_says_nothing() -> None:
    """No event, no measurement."""
    size = WindowSize(0.5, 256)
    size.measured(0, 100)

    assert size.events == 8


@given(BUDGETS, st.integers(0, 10**6))
def test_a_backlog_is_answered_in_windows_of_a_share_of_its_time(
    budget: float, waiting: int
) -> None:
    """Of an eighth or of 4 seconds, and never of less than the budget."""
    size, seconds_per_event = WindowSize(budget, 10**6), 0.01
    for _ in range(30):
        size.measured(size.events, size.events * seconds_per_event, waiting)
    seconds = max(budget, min(waiting * seconds_per_event / BACKLOG_WINDOWS, BACKLOG_SECONDS))

    assert abs(size.events - max(1, seconds / seconds_per_event)) <= 1


def test_a_backlog_that_is_gone_shrinks_the_next_window_at_once() -> None:
    """What comes then is answered within the budget again."""
    size = WindowSize(0.5, 2048)
    for _ in range(12):
        size.measured(size.events, size.events * 0.01, waiting=10_000)
    assert size.events == 400

    size.measured(400, 4.0, waiting=0)

    assert size.events == 50
