"""Connections: the same settings for every client library, and what a first probe tells."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import faust
import pytest
import trustme

from roomstream.brokers import Broker
from roomstream.ports import reserved_port
from runtime.kafka import addresses, kafka_arguments, probe, ssl_context
from runtime.settings import KafkaSettings, load
from schemas.errors import ConfigurationError, RoomstreamError, TryAgain
from tests.certificates import pkcs8
from workers.faust_delivery import _credentials

pytestmark = [
    pytest.mark.usefixtures("failed_clients_collected"),
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]
SASL = {"sasl_username": "ana", "sasl_password": "pässword"}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who signs certificates here."""
    return trustme.CA()


@pytest.fixture
def cafile(authority: trustme.CA, tmp_path: Path) -> Path:
    """Its certificate."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


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


def test_plaintext_needs_no_more_than_addresses() -> None:
    """Neither library is told of TLS or a user; spaces and a last comma are forgiven."""
    kafka = load(KafkaSettings, bootstrap_servers="a:1, b:2,")

    assert kafka_arguments(kafka) == {
        "bootstrap_servers": ["a:1", "b:2"],
        "security_protocol": "PLAINTEXT",
    }
    assert _credentials(kafka) is None


def test_tls_gives_both_libraries_a_context(cafile: Path) -> None:
    """Both trust the same authority, and nobody else."""
    kafka = load(KafkaSettings, security_protocol="SSL", ssl_cafile=cafile)
    arguments, credentials = kafka_arguments(kafka), _credentials(kafka)

    assert isinstance(credentials, faust.SSLCredentials)
    assert arguments.keys() == {
        "bootstrap_servers",
        "security_protocol",
        "ssl_context",
        "ssl_check_hostname",
    }
    for context in (arguments["ssl_context"], credentials.context):
        assert len(context.get_ca_certs()) == 1
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_sasl_gives_both_libraries_the_same_user(
    protocol: str, mechanism: str, cafile: Path
) -> None:
    """Name, password and mechanism; TLS only where the protocol says so."""
    kafka = load(
        KafkaSettings,
        security_protocol=protocol,
        sasl_mechanism=mechanism,
        ssl_cafile=cafile,
        **SASL,
    )
    arguments, credentials = kafka_arguments(kafka), _credentials(kafka)
    encrypted = protocol == "SASL_SSL"

    assert (protocol, mechanism, "ana", "pässword") == (
        arguments["security_protocol"],
        arguments["sasl_mechanism"],
        arguments["sasl_plain_username"],
        arguments["sasl_plain_password"],
    )
    assert (protocol, mechanism, "ana", "pässword") == (
        credentials.protocol.value,
        credentials.mechanism.value,
        credentials.username,
        credentials.password,
    )
    assert encrypted == ("ssl_context" in arguments) == (credentials.ssl_context is not None)


def test_the_hosts_name_is_not_checked_where_that_is_switched_off() -> None:
    """The certificate itself still is."""
    context = ssl_context(load(KafkaSettings, security_protocol="SSL", ssl_check_hostname="false"))

    assert (context.check_hostname, context.verify_mode) == (False, ssl.CERT_REQUIRED)


def test_a_clients_certificate_is_loaded(authority: trustme.CA, tmp_path: Path) -> None:
    """Certificate and key may be two files or one."""
    leaf, both = authority.issue_cert("client"), tmp_path / "both.pem"
    leaf.private_key_and_cert_chain_pem.write_to_path(both)
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    leaf.cert_chain_pems[0].write_to_path(certificate)
    leaf.private_key_pem.write_to_path(key)

    assert ssl_context(load(KafkaSettings, ssl_certfile=both))
    assert ssl_context(load(KafkaSettings, ssl_certfile=certificate, ssl_keyfile=key))


def test_files_that_are_no_certificates_are_told(tmp_path: Path, cafile: Path) -> None:
    """Whichever of them it is, and a key that is not of that certificate."""
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    for options in ({"ssl_cafile": nonsense}, {"ssl_certfile": nonsense}, {"ssl_certfile": cafile}):
        with pytest.raises(ConfigurationError, match="must be PEM files that belong together"):
            kafka_arguments(load(KafkaSettings, security_protocol="SSL", **options))


def test_an_encrypted_key_without_its_password_is_told(
    authority: trustme.CA, tmp_path: Path
) -> None:
    """Nobody is asked for it on a terminal; with the password it works."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    leaf = authority.issue_cert("client")
    key.write_bytes(pkcs8(leaf, b"sesame"))
    leaf.cert_chain_pems[0].write_to_path(certificate)
    files = {"ssl_certfile": certificate, "ssl_keyfile": key}

    assert ssl_context(load(KafkaSettings, **files, ssl_key_password="sesame"))
    for password in (None, "wrong"):
        with pytest.raises(ConfigurationError, match="KAFKA_SSL_KEY_PASSWORD"):
            ssl_context(load(KafkaSettings, **files, ssl_key_password=password))


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
