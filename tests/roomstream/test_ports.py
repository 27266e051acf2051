"""Reserved ports: nobody else is given them, and the server that they are meant for gets them."""

import socket
from contextlib import closing

import pytest
from prometheus_client import CollectorRegistry

from roomstream.ports import reserved_port
from runtime.health import Health, Port
from tests.processes import run


def test_nobody_else_is_given_a_reserved_port() -> None:
    """A program that asks for that very port without sharing is refused, in any process."""
    with reserved_port() as port:
        other = run(f"import socket; socket.socket().bind(('127.0.0.1', {port}))")

    assert "Address already in use" in other.stderr


def test_reserved_ports_differ() -> None:
    """Two that are held at once are never the same."""
    with reserved_port() as first, reserved_port() as second:
        assert first != second


def test_nobody_listens_on_a_reserved_port() -> None:
    """A client is refused, as it is before a server is up."""
    with reserved_port() as port, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)


def test_its_server_may_listen_again_and_again() -> None:
    """A server takes the port while it is held, and once more when it is started again."""
    with reserved_port() as port:
        for _ in range(2):
            with closing(Port("127.0.0.1", port, Health(), CollectorRegistry(), "PORT")) as server:
                socket.create_connection(("127.0.0.1", port), 1).close()
                assert port == server.port


def test_a_port_is_free_once_it_is_let_go() -> None:
    """Then it can be bound without sharing."""
    with reserved_port() as port:
        pass
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))

        assert ("127.0.0.1", port) == other.getsockname()
