"""
A process whose wall clock jumps by an hour when it is told to.

`time.time`, `time.time_ns`, `datetime.now` and their kin move, in Python code of every library. Not
moved: `time.monotonic` and what measures durations with it (time-outs, heartbeats, asyncio), clocks read
by native code (OpenSSL's view of certificates, ONNX Runtime), file times, and the brokers.
"""

import signal
import sys
import textwrap

HOUR_SECONDS = 3600
AHEAD, BEHIND = signal.SIGUSR1, signal.SIGUSR2

_LAUNCHER = f"""
    import runpy, signal, time
    import time_machine

    clock = time_machine.travel(time.time(), tick=True).start()
    real = time_machine.escape_hatch.time.time

    def jump_to(seconds):
        return lambda *_: clock.move_to(real() + seconds)

    signal.signal(signal.{AHEAD.name}, jump_to({HOUR_SECONDS}))
    signal.signal(signal.{BEHIND.name}, jump_to(-{HOUR_SECONDS}))
    runpy.run_module("roomstream", run_name="__main__", alter_sys=True)
"""


def with_movable_clock(*arguments: str) -> list[str]:
    """The command of a `roomstream` whose clock obeys the signals AHEAD and BEHIND."""
    return [sys.executable, "-P", "-c", textwrap.dedent(_LAUNCHER), *arguments]
