"""A TCP proxy between a client and a broker: cut it in one direction or both, or slow it down."""

import contextlib
import socket
import threading
import time
from typing import Self

from roomstream.ports import reserved_port

_CHUNK = 64 * 1024
_TICK_SECONDS = 0.05


class Proxy:
    """
    Forwards bytes from its own port to a broker's. A context manager.

    A cut is silent, as a broken network is: connections stay open and nothing arrives. What was under
    way arrives once the cut is healed, as TCP would send it again.

    Args:
        target: The port of the broker.

    Attributes:
        port: Where clients connect to.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._stack = contextlib.ExitStack()
        self.port = self._stack.enter_context(reserved_port())
        self._requests, self._answers = threading.Event(), threading.Event()
        self._delay_seconds = 0.0
        self._closed = threading.Event()
        self.heal()

    def cut(self, requests: bool = True, answers: bool = True) -> None:
        """Let nothing through to the broker, back from it, or both."""
        for way, is_cut in ((self._requests, requests), (self._answers, answers)):
            if is_cut:
                way.clear()

    def slow(self, seconds: float) -> None:
        """Hold every answer of the broker back for so long."""
        self._delay_seconds = seconds

    def heal(self) -> None:
        """Let everything through at once."""
        self._delay_seconds = 0.0
        self._requests.set()
        self._answers.set()

    def __enter__(self) -> Self:
        self._server = self._stack.enter_context(socket.create_server(("127.0.0.1", self.port)))
        threading.Thread(target=self._accept, name=f"proxy-{self.port}", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self.heal()
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
        way = self._requests if is_request else self._answers
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                while not way.wait(_TICK_SECONDS):
                    pass
                if not is_request and self._delay_seconds:
                    time.sleep(self._delay_seconds)
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
