"""Children that end with the process that started them, so that no orphan keeps a port or partition."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # not loaded between fork and exec


def dies_with_parent() -> Callable[[], None]:
    """
    Make the `preexec_fn` of a child that Linux kills when its parent is gone, even by SIGKILL.

    To Linux the parent is the thread that starts the child: it must live as long as the child
    should. Programs that the child becomes by `exec` inherit this, those that it starts do not.
    """
    parent = os.getpid()

    def before_exec() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)  # it was gone before Linux knew of our wish

    return before_exec
