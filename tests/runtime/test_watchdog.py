"""The watchdog ends a process that hangs, and no other."""

import json
import time

from tests.processes import run


def test_a_process_that_hangs_ends_with_75_and_says_where() -> None:
    """A lock that nothing will ever open, as deep inside a client library."""
    started = time.monotonic()
    done = run("""
        import threading
        from runtime.logs import configure_logs
        from runtime.watchdog import Watchdog

        def waits_for_ever():
            lock = threading.Lock()
            with lock:
                lock.acquire()

        configure_logs("worker")
        with Watchdog(0.5):
            waits_for_ever()
        """)
    line = json.loads(done.stderr.splitlines()[-1])

    assert done.returncode == 75
    assert time.monotonic() - started < 10
    assert (line["level"], line["limit_seconds"]) == ("error", 0.5)
    assert "MainThread" in line["stacks"]
    assert "waits_for_ever" in line["stacks"]


def test_quick_work_is_left_alone() -> None:
    """Many short pieces that together take longer than the limit, and idle time between them."""
    done = run("""
        import time
        from runtime.watchdog import Watchdog

        watchdog = Watchdog(0.4)
        for _ in range(5):
            with watchdog:
                time.sleep(0.1)
        time.sleep(0.8)
        """)

    assert (done.returncode, done.stderr) == (0, "")


def test_long_work_that_gets_on_is_left_alone() -> None:
    """Each part has the whole time."""
    done = run("""
        import time
        from runtime.watchdog import Watchdog

        watchdog = Watchdog(0.4)
        with watchdog:
            for _ in range(5):
                time.sleep(0.2)
                watchdog.begin_again()
        watchdog.begin_again()
        time.sleep(0.8)
        """)

    assert (done.returncode, done.stderr) == (0, "")


def test_work_that_raises_is_watched_no_longer() -> None:
    """The error goes its way; the process lives to report it."""
    done = run("""
        import time
        from runtime.watchdog import Watchdog

        try:
            with Watchdog(0.2):
                raise ValueError
        except ValueError:
            time.sleep(0.5)
            raise SystemExit(7)
        """)

    assert done.returncode == 7


def test_a_closed_watchdog_watches_nothing() -> None:
    """Late work is left alone."""
    done = run("""
        import time
        from runtime.watchdog import Watchdog

        watchdog = Watchdog(0.2)
        watchdog.close()
        with watchdog:
            time.sleep(0.5)
        """)

    assert done.returncode == 0
