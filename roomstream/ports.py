"""Ports of the loopback address for servers that other processes will run."""

import contextlib
import socket
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """
    A port that stays ours: until the server that it is meant for listens, and between its lives.

    A port that is only looked up and let go again may be taken by any program, or by any outgoing
    connection, before the server gets to it. This one is bound all the time, so that nobody else is
    given it, but nobody listens on it: connections are refused. A server that sets SO_REUSEADDR,
    as Python's, Java's and Rust's do, may listen on it all the same.
    """
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
        if sys.platform == "linux":
            # After the bind: we wanted a port that nobody has, the server may share ours.
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            holder.close()  # elsewhere a server cannot share a bound port
        yield port
