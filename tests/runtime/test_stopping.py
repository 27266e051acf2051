"""SIGTERM and SIGINT ask a process to finish what it has begun."""

import signal

import pytest

from tests.processes import run, said, start


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_process_finish(number: signal.Signals) -> None:
    """The event is set, nothing is raised, and a second signal changes nothing."""
    with start("""
        import time
        from runtime.logs import configure_logs
        from runtime.stopping import stop_on_signals
        configure_logs("worker", "ERROR")
        stop = stop_on_signals()
        print(stop.is_set(), flush=True)
        assert stop.wait(20)
        print("finishing", flush=True)
        time.sleep(0.3)
        print("finished", flush=True)
        """) as process:
        lines = [said(process)]
        process.send_signal(number)
        lines.append(said(process))
        process.send_signal(number)
        lines.append(said(process))

    assert lines == ["False", "finishing", "finished"]
    assert process.returncode == 0


def test_a_signal_in_the_midst_of_waiting_is_no_deadlock() -> None:
    """It may come while the main thread holds the lock of the event, as every wait does briefly."""
    done = run("""
        import os, signal, time
        from runtime.stopping import stop_on_signals
        stop = stop_on_signals()
        with stop._cond:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.1)
        raise SystemExit(0 if stop.wait(10) else 1)
        """)

    assert done.returncode == 0
