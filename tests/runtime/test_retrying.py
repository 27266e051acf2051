"""Trying again: how long it waits, what it gives up on, and that it can be stopped."""

import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.retrying import BackOff, retry
from runtime.stopping import Stopped
from schemas.errors import ConfigurationError, TryAgain

QUICK = BackOff(first_seconds=0.001, most_seconds=0.01)


class Attempts:
    """Fails so often, then works."""

    def __init__(self, failures: int, error: Callable[[str], Exception] = TryAgain) -> None:
        self.made = 0
        self._failures = failures
        self._error = error

    def __call__(self) -> int:
        """One more; its number."""
        self.made += 1
        if self.made <= self._failures:
            raise self._error(f"failure {self.made}")
        return self.made


def test_it_tries_until_it_works() -> None:
    """What the attempt that worked returned is returned."""
    assert retry(Attempts(5), threading.Event(), 60, QUICK) == 6


def test_after_the_limit_the_last_error_is_raised() -> None:
    """There is one attempt at least, and one when the limit has passed."""
    never, once = Attempts(10**9), Attempts(10**9)
    with pytest.raises(TryAgain, match=r"^failure 1$"):
        retry(once, threading.Event(), 0, QUICK)
    started = time.monotonic()
    with pytest.raises(TryAgain) as caught:
        retry(never, threading.Event(), 0.2, QUICK)

    assert str(caught.value) == f"failure {never.made}"
    assert never.made > 2
    assert time.monotonic() - started >= 0.2


def test_a_wrong_setting_is_not_tried_again() -> None:
    """It would stay wrong."""
    wrong = Attempts(3, ConfigurationError)
    with pytest.raises(ConfigurationError):
        retry(wrong, threading.Event(), 60, QUICK)

    assert wrong.made == 1


def test_the_wait_ends_when_the_process_is_told_to_stop() -> None:
    """At once, however long the wait would be."""
    stop, waiting = threading.Event(), BackOff(first_seconds=300, most_seconds=300)
    threading.Timer(0.1, stop.set).start()
    started = time.monotonic()
    with pytest.raises(Stopped):
        retry(Attempts(10**9), stop, 600, waiting)

    assert time.monotonic() - started < 60


@given(
    first=st.floats(0.01, 5),
    most=st.floats(5, 60),
    failures=st.lists(st.integers(1, 10_000), min_size=2, max_size=2),
)
def test_the_wait_grows_up_to_its_limit(first: float, most: float, failures: list[int]) -> None:
    """It doubles with every failure, with a fifth of jitter, however many there were."""
    back_off = BackOff(first, most)
    fewer, more = sorted(failures)
    for count in (fewer, more):
        expected = min(most, first * 2 ** min(count - 1, 60))
        assert 0.8 * expected <= back_off.wait_seconds(count) <= 1.2 * expected

    assert back_off.wait_seconds(fewer) / 1.2 <= back_off.wait_seconds(more) / 0.8
