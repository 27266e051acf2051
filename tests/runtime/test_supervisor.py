"""The supervisor keeps real processes running, gives up where that is no use, and leaves no orphan."""

import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from runtime.supervisor import Child, Patience, Supervisor
from tests.processes import gone, python, said, start, within

QUICK = Patience(first_seconds=0.05, most_seconds=0.2, failures=3)
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

    def __init__(self, *children: Child, grace_seconds: float = 10) -> None:
        self.stop, self.code = threading.Event(), -1
        self._supervisor = Supervisor(children, QUICK, grace_seconds)
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


def test_children_that_are_done_are_left_alone(file: Path) -> None:
    """Exit code 0 is the end of a job: no restart, and the supervisor is done with the last."""
    child = Child("job", python(f"open({str(file)!r}, 'a').write('x')"))

    assert Running(child, Child("other", ["true"])).ended() == 0
    assert (child.restarts, file.read_text()) == (0, "x")


def test_a_crash_is_followed_by_a_restart(file: Path) -> None:
    """The child runs again, with its environment, until it is done."""
    child = Child(
        "job",
        python(f"""
            import os, sys
            with open({str(file)!r}, "a") as file:
                file.write(os.environ["LETTER"])
            sys.exit(1 if os.path.getsize({str(file)!r}) < 2 else 0)
            """),
        {"LETTER": "y"},
    )

    assert Running(child).ended() == 0
    assert (child.restarts, file.read_text()) == (1, "yy")


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


@pytest.mark.parametrize("code", [2, 3])
def test_what_a_restart_cannot_mend_stops_all(code: int, file: Path) -> None:
    """A wrong setting or a missing release: no restart, and the others drain."""
    other = Child("other", python(DRAINS.format(file=str(file))))
    wrong = Child(
        "wrong",
        ["sh", "-c", f"until grep -q up {file}; do sleep 0.05; done; exit {code}"],
    )

    assert Running(other, wrong).ended() == code
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


def test_a_program_that_is_not_there_stops_the_others(file: Path) -> None:
    """An error while starting leaves nothing running."""
    other = Child("other", python(FOREVER))

    with pytest.raises(FileNotFoundError):
        Supervisor([other, Child("none", ["/no/such/program"])], QUICK).run(threading.Event())
    assert other.pid is None


def test_a_childs_standard_error_goes_to_its_log(file: Path) -> None:
    """One after another, over all its lives."""
    child = Child("worker", ["sh", "-c", "echo oops >&2; exit 1"], log=file)

    assert Running(child).ended() == 1
    assert file.read_text() == "oops\n" * QUICK.failures
