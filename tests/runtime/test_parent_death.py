"""Children that Linux ends when the process that started them is killed."""

from tests.processes import gone, said, start, within

PARENT = """
    import signal, subprocess, sys
    from runtime.parent_death import dies_with_parent
    child = subprocess.Popen(["sh", "-c", "exec sleep 60"], preexec_fn={preexec})
    print(child.pid, flush=True)
    signal.pause()
"""


def test_a_child_dies_with_its_parent() -> None:
    """SIGKILL of the parent is enough, and a script that becomes its program by exec obeys."""
    with start(PARENT.format(preexec="dies_with_parent()")) as parent:
        pid = int(said(parent))
        assert not gone(pid)
        parent.kill()

    assert within(5, lambda: gone(pid))


def test_a_child_of_a_parent_that_is_gone_already_does_not_start() -> None:
    """A parent that dies between fork and the request leaves no child either."""
    process = start("""
        import os, subprocess
        from runtime.parent_death import dies_with_parent
        before_exec = dies_with_parent()
        if os.fork() == 0:  # this process is not the one that asked, as if that one were gone
            print(subprocess.run(["true"], preexec_fn=before_exec).returncode, flush=True)
            os._exit(0)
        os.wait()
        """)
    with process:
        code = said(process)

    assert code == "1"
