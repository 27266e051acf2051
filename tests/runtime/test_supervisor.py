"""The supervisor keeps real processes running, gives up where that is no use, and leaves no orphan."""

import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.supervisor import Child, Patience, Supervisor
from tests.processes import gone, python, said, start, within

QUICK = Patience(first_seconds=0.05, most_seconds=0.2, failures=3)
SLEEPS = ["sleep", "60"]
FOREVER = "import time; time.sleep(60)"
DRAINS = """
    import signal, sys, time

    def drain(*_):
        time.sleep(0.3)
        open({file!r}, "a").write("drained")
        sys.exit(0)

    signal.signal(signal.SIGTERM, drain)
    open({file!r}, "a").write("up ")
    time.sleep(60)
"""
DEAF = """
    import signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open({file!r}, "a").write("up ")
    time.sleep(60)
"""


class Running:
    """A supervisor at work in a thread."""

    def __init__(
        self, *children: Child, patience: Patience = QUICK, grace_seconds: float = 10
    ) -> None:
        self.stop, self.code = threading.Event(), -1
        self._supervisor = Supervisor(children, patience, grace_seconds)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.code = self._supervisor.run(self.stop)

    def ended(self, seconds: float = 15) -> int:
        """Wait for its end; its exit code."""
        self._thread.join(seconds)
        assert not self._thread.is_alive()
        return self.code


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where children write what they do."""
    path = tmp_path / "file"
    path.touch()
    return path


@pytest.mark.parametrize("code", [0, 1, 3])
def test_what_ends_is_started_again(code: int, file: Path) -> None:
    """With its environment, however it ended: nobody told it to stop. The others run on."""
    ends_once = f"printf $LETTER >> {file}; test $(wc -c < {file}) -ge 2 || exit {code}; sleep 60"
    child, other = Child("one", ["sh", "-c", ends_once], {"LETTER": "y"}), Child("other", SLEEPS)
    running = Running(child, other)
    assert within(5, lambda: file.read_text() == "yy")
    running.stop.set()

    assert running.ended() == 0
    assert (child.restarts, other.restarts) == (1, 0)


def test_failures_that_are_long_past_do_not_count(file: Path) -> None:
    """It goes on as long as no window of time has too many of them."""
    child = Child("worker", ["sh", "-c", f"printf x >> {file}; sleep 0.3; exit 1"])
    running = Running(child, patience=replace(QUICK, window_seconds=0.5))
    assert within(15, lambda: len(file.read_text()) > QUICK.failures + 1)
    running.stop.set()

    assert running.ended() == 0


def test_a_child_that_cannot_be_started_now_is_tried_again(file: Path) -> None:
    """As where the machine has no memory for another process; the others run on."""
    script = file.with_name("script")
    script.write_text("#!/bin/sh\nsleep 60")
    script.chmod(0o700)
    other, late = Child("other", SLEEPS), Child("late", [str(file)])  # which may not be executed
    running = Running(other, late, patience=replace(QUICK, failures=1000))
    assert within(5, lambda: late._start_at > 0)
    script.rename(file)
    assert within(5, lambda: late.restarts == 1)
    running.stop.set()

    assert running.ended() == 0
    assert other.restarts == 0


def test_a_killed_child_is_restarted_with_another_pid() -> None:
    """As after the kernel took its memory back."""
    child = Child("worker", python(FOREVER))
    running = Running(child)
    assert within(5, lambda: child.pid is not None)
    first = child.pid
    child.signal(signal.SIGKILL)
    assert within(5, lambda: child.restarts == 1 and child.pid is not None)

    assert first != child.pid
    running.stop.set()
    assert running.ended() == 0


@pytest.mark.parametrize(("command", "code"), [("exit 75", 75), ("exit 1", 1), ("kill -9 $$", 1)])
def test_it_gives_up_after_the_stated_failures(command: str, code: int, file: Path) -> None:
    """With the code of the last failure, 1 for a signal; every start is counted."""
    child = Child("worker", ["sh", "-c", f"echo >> {file}; {command}"])

    assert Running(child).ended() == code
    assert (child.restarts, len(file.read_text())) == (QUICK.failures - 1, QUICK.failures)


def test_a_wrong_setting_stops_all(file: Path) -> None:
    """A restart cannot mend it: the others drain."""
    other = Child("other", python(DRAINS.format(file=str(file))))
    wrong = Child(
        "wrong",
        ["sh", "-c", f"until grep -q up {file}; do sleep 0.05; done; exit 2"],
    )

    assert Running(other, wrong).ended() == 2
    assert (wrong.restarts, file.read_text()) == (0, "up drained")


def test_told_to_stop_it_lets_children_drain(file: Path) -> None:
    """SIGTERM, and time to finish."""
    child = Child("worker", python(DRAINS.format(file=str(file))))
    running = Running(child)
    assert within(5, lambda: file.read_text() == "up ")
    running.stop.set()

    assert running.ended() == 0
    assert file.read_text() == "up drained"
    assert child.pid is None


def test_a_child_that_does_not_drain_is_killed(file: Path) -> None:
    """After the grace, not before."""
    child = Child("worker", python(DEAF.format(file=str(file))))
    running = Running(child, grace_seconds=0.5)
    assert within(5, lambda: file.read_text() == "up ")
    pid, asked = child.pid or 0, time.monotonic()
    running.stop.set()

    assert running.ended() == 0
    assert 0.5 <= time.monotonic() - asked < 5
    assert gone(pid)


def test_a_killed_supervisor_takes_its_children_along() -> None:
    """No orphan keeps a port or a partition."""
    with start(f"""
        import threading
        from runtime.supervisor import Child, Supervisor

        class Telling(Child):
            def start(self):
                super().start()
                print(self.pid, flush=True)

        children = [Telling(name, [{sys.executable!r}, "-c", {FOREVER!r}]) for name in "ab"]
        Supervisor(children).run(threading.Event())
        """) as supervisor:
        pids: list[int] = []
        while len(pids) < 2:  # its log lines are between them
            line = said(supervisor)
            pids += [int(line)] if line.isdigit() else []
        assert not any(gone(pid) for pid in pids)
        supervisor.kill()

    assert within(5, lambda: all(gone(pid) for pid in pids))


def test_a_program_that_is_never_there_is_given_up() -> None:
    """It fails too often; nothing is left running."""
    other = Child("other", SLEEPS)

    assert Running(other, Child("none", ["/no/such/program"])).ended() == 1
    assert other.pid is None


def test_a_childs_standard_error_goes_to_its_log(file: Path) -> None:
    """One after another, over all its lives."""
    child = Child("worker", ["sh", "-c", "echo oops >&2; exit 1"], log=file)

    assert Running(child).ended() == 1
    assert file.read_text() == "oops\n" * QUICK.failures
