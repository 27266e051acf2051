"""A TCP proxy between a client and a broker: cut in one direction or both, or slow."""

import contextlib
import socket
import threading
import time
from dataclasses import dataclass
from typing import Self

from roomstream.ports import reserved_port

_CHUNK = 64 * 1024
_TICK_SECONDS = 0.05


@dataclass(frozen=True, eq=False)
class Harm:
    """
    What a network may do; each one is its own, however many are alike.

    Attributes:
        requests: Whether nothing gets through to the broker.
        answers: Whether nothing comes back from it.
        delay_seconds: For how long every answer is held back.
    """

    requests: bool = False
    answers: bool = False
    delay_seconds: float = 0.0


class Proxy:
    """
    Forwards bytes from its own port to a broker's. A context manager.

    A cut is silent, as a broken network is: connections stay open and nothing arrives. What was under
    way arrives once the cut is healed, as TCP would send it again.

    Args:
        target: The port of the broker.

    Attributes:
        port: Where clients connect to.
        harms: What it suffers now; the worst of them counts. Add one, and remove it to heal it.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._stack = contextlib.ExitStack()
        self.port = self._stack.enter_context(reserved_port())
        self.harms: list[Harm] = []
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        self._server = self._stack.enter_context(socket.create_server(("127.0.0.1", self.port)))
        threading.Thread(target=self._accept, name=f"proxy-{self.port}", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self.harms.clear()
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._stack.close()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        try:
            broker = socket.create_connection(("127.0.0.1", self._target), timeout=5)
        except OSError:
            client.close()
            return
        broker.settimeout(None)
        back = threading.Thread(target=self._pump, args=(broker, client, False), daemon=True)
        back.start()
        self._pump(client, broker, True)
        back.join()
        client.close()
        broker.close()

    def _pump(self, source: socket.socket, target: socket.socket, is_request: bool) -> None:
        """Forward until either side ends, then end both: neither waits for the other."""
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                while any(harm.requests if is_request else harm.answers for harm in self.harms):
                    time.sleep(_TICK_SECONDS)
                if not is_request:
                    self._hold_back()
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _hold_back(self) -> None:
        """Wait as long as the slowest harm says, or until it is healed."""
        since = time.monotonic()
        while any(time.monotonic() - since < harm.delay_seconds for harm in self.harms):
            time.sleep(_TICK_SECONDS)
