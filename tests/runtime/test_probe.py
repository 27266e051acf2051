"""A first probe of a connection: what is wrong is told at once, as what it is."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from roomstream.brokers import Broker
from roomstream.ports import reserved_port
from runtime.kafka import addresses, probe
from runtime.settings import KafkaSettings, load
from schemas.errors import ConfigurationError, RoomstreamError, TryAgain


@contextmanager
def listener(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server on loopback that does something with every connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return  # closed
                with connection:
                    serve(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"localhost:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def hang_up(connection: socket.socket) -> None:
    """End at what it cannot read, as Kafka's plaintext port does."""
    connection.recv(100)


def tls(certificate: trustme.LeafCert) -> Callable[[socket.socket], None]:
    """Shake hands, and end."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)

    def serve(connection: socket.socket) -> None:
        with suppress(OSError):  # a client that does not trust us
            context.wrap_socket(connection, server_side=True).close()

    return serve


def told(kind: type[RoomstreamError], servers: str, **options: Any) -> str:
    """What a probe says about a Kafka."""
    with pytest.raises(kind) as raised:
        probe(load(KafkaSettings, bootstrap_servers=servers, **options), timeout_seconds=2)
    return str(raised.value)


@pytest.mark.parametrize(
    "address", ["kafka", ":9092", "kafka:", "kafka:http", "kafka:99999", "kafka:²"]
)
def test_an_address_that_is_none_is_told(address: str) -> None:
    """It is quoted, since it may be one of several."""
    message = f"KAFKA_BOOTSTRAP_SERVERS: '{address}' is not host:port."

    assert message == told(ConfigurationError, address)


def test_no_address_at_all_is_told() -> None:
    """A list of nothing but commas is empty."""
    assert "is empty. Give it as host:port" in told(ConfigurationError, " , ")


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 64])
def test_an_unknown_host_is_told(host: str) -> None:
    """Also a name that no host can have. It may be known later: try again."""
    assert f"No host is called '{host}'" in told(TryAgain, f"{host}:9092")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_closed_port_is_told(host: str) -> None:
    """The address and the system's own words."""
    with reserved_port() as port:
        message = told(TryAgain, f"{host}:{port}")

    assert f"Kafka cannot be reached at {host}:{port}: " in message
    assert "Connection refused" in message


def test_a_port_that_does_not_speak_tls_is_told() -> None:
    """Kafka hangs up on a TLS greeting at a plaintext port; the setting to change is named."""
    with listener(hang_up) as address:
        message = told(ConfigurationError, address, security_protocol="SSL")

    assert f"Kafka at {address} does not speak TLS" in message
    assert "KAFKA_SECURITY_PROTOCOL" in message


def test_a_port_that_says_nothing_is_told_in_time() -> None:
    """A firewall that swallows everything must not hang a process."""
    with listener(lambda _: time.sleep(1.5)) as address:
        message = told(TryAgain, address, security_protocol="SSL")

    assert "timed out" in message


def test_an_untrusted_certificate_is_told(authority: trustme.CA) -> None:
    """Without its authority among the system's, KAFKA_SSL_CAFILE is the way out."""
    with listener(tls(authority.issue_cert("localhost"))) as address:
        message = told(ConfigurationError, address, security_protocol="SSL")

    assert f"The certificate of Kafka at {address} is not trusted" in message
    assert "Set KAFKA_SSL_CAFILE" in message


def test_a_certificate_of_another_host_is_told(authority: trustme.CA, cafile: Path) -> None:
    """The authority is right, the name is not."""
    with listener(tls(authority.issue_cert("elsewhere"))) as address:
        message = told(ConfigurationError, address, security_protocol="SSL", ssl_cafile=cafile)

    assert "not valid for 'localhost'" in message
    assert "KAFKA_BOOTSTRAP_SERVERS to a name that it carries" in message


def test_a_port_of_something_else_is_told() -> None:
    """It takes connections, but does not answer as Kafka does."""
    with listener(hang_up) as address:
        message = told(TryAgain, address)

    assert f"Kafka at {address} takes connections but not this client" in message


def test_one_broker_that_answers_is_enough(broker: Broker) -> None:
    """Of a cluster some may be down, or their names not known here."""
    servers = f"no-such-host.invalid:9092,{broker.bootstrap_servers}"
    kafka = load(KafkaSettings, bootstrap_servers=servers)
    probe(kafka)

    assert len(addresses(kafka)) == 2


def test_a_probe_leaves_no_thread_behind(broker: Broker) -> None:
    """Neither one that succeeds nor one that fails, however often a process tries."""
    before = set(threading.enumerate())
    probe(load(KafkaSettings, bootstrap_servers=broker.bootstrap_servers))
    with listener(hang_up) as address:
        told(TryAgain, address)

    assert set(threading.enumerate()) == before
