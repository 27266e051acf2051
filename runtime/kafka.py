"""Connections to Kafka: the settings, as each client library wants them, and a first probe."""

import contextlib
import re
import socket
import ssl
from collections.abc import Iterator
from typing import Any, cast

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from runtime.settings import KafkaSettings
from schemas.errors import ConfigurationError, TryAgain

_MOST_PORT = 65535

MAX_REQUEST_BYTES = 16 * 1024 * 1024
"""The most that our producers send at once: what is too large is the topic's decision, not theirs."""


def kafka_arguments(settings: KafkaSettings) -> dict[str, Any]:
    """
    The arguments of a kafka-python client.

    Raises:
        ConfigurationError: A certificate or key cannot be read.
    """
    arguments: dict[str, Any] = {
        "bootstrap_servers": addresses(settings),
        "security_protocol": settings.security_protocol,
    }
    if settings.security_protocol.endswith("SSL"):
        arguments["ssl_context"] = ssl_context(settings)
        arguments["ssl_check_hostname"] = settings.ssl_check_hostname
    if settings.security_protocol.startswith("SASL"):
        arguments["sasl_mechanism"] = settings.sasl_mechanism
        arguments["sasl_plain_username"] = settings.sasl_username
        arguments["sasl_plain_password"] = settings.password()
    return arguments


def addresses(settings: KafkaSettings) -> list[str]:
    """The brokers to connect to first, as host:port."""
    return [server.strip() for server in settings.bootstrap_servers.split(",") if server.strip()]


def ssl_context(settings: KafkaSettings) -> ssl.SSLContext:
    """
    What is trusted, and the client's own certificate, if any.

    Raises:
        ConfigurationError: A certificate or key is not valid.
    """
    try:
        context = ssl.create_default_context(
            cafile=str(settings.ssl_cafile) if settings.ssl_cafile else None
        )
        if settings.ssl_certfile:
            secret = settings.ssl_key_password
            context.load_cert_chain(
                settings.ssl_certfile,
                settings.ssl_keyfile,
                # Without one OpenSSL would ask for it on the terminal.
                secret.get_secret_value() if secret else "",
            )
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(
            f"A certificate or key of KAFKA_SSL_CAFILE, KAFKA_SSL_CERTFILE or KAFKA_SSL_KEYFILE "
            f"cannot be used: {error}. They must be PEM files that belong together; the password of "
            "an encrypted key is KAFKA_SSL_KEY_PASSWORD."
        ) from error
    context.check_hostname = settings.ssl_check_hostname
    return context


@contextlib.contextmanager
def admin_client(settings: KafkaSettings) -> Iterator[KafkaAdminClient]:
    """
    An administrator's connection for the length of a block, after a first probe.

    Raises:
        TryAgain: The broker cannot be reached, or fails in the block.
        ConfigurationError: The address, protocol, certificate or password is wrong.
    """
    probe(settings)
    try:
        admin = KafkaAdminClient(**kafka_arguments(settings))
        try:
            yield admin
        finally:
            admin.close()
    except KafkaError as error:
        raise TryAgain(
            f"Kafka at {settings.bootstrap_servers} does not answer as it should: {error}. "
            "If it has just started, try again in a few seconds."
        ) from error


def require_transactions(settings: KafkaSettings, need: str, instead: str = "") -> None:
    """
    Check that the brokers have transactions.

    Args:
        settings: How to reach Kafka.
        need: What needs them.
        instead: What can be done without them, if anything.

    Raises:
        ConfigurationError: They have none.
        TryAgain: The broker cannot be reached.
    """
    with admin_client(settings) as admin:
        found = has_transactions(admin)
    if not found:
        raise ConfigurationError(
            f"The brokers at {settings.bootstrap_servers} have no transactions, which {need} needs. "
            f"Use Apache Kafka from 3.0 on{f', or {instead}' if instead else ''}."
        )


def has_transactions(admin: KafkaAdminClient) -> bool:
    """
    Whether the brokers have transactions, by what came with them to stay (KIP-664, Kafka 3.0).

    Some brokers accept every request of a transaction and show aborted messages all the same.
    """
    return "DescribeTransactions" in {key.name for key in admin.api_versions()}


def probe(settings: KafkaSettings, timeout_seconds: float = 10) -> None:
    """
    Connect once, so that what is wrong is named at once instead of after a client's time-out.

    Raises:
        TryAgain: No broker can be reached; says where and the likely cause.
        ConfigurationError: The address, protocol, certificate or password is wrong.
    """
    faults = [
        _socket_fault(settings, address, timeout_seconds / 2) for address in addresses(settings)
    ]
    if not faults:
        raise ConfigurationError("KAFKA_BOOTSTRAP_SERVERS is empty. Give it as host:port.")
    if None not in faults:
        raise cast("Exception", faults[0])
    try:
        _connect(kafka_arguments(settings), timeout_seconds / 2)
    except KafkaError as error:
        raise TryAgain(
            f"Kafka at {settings.bootstrap_servers} takes connections but not this client "
            f"({error}). Likely the user name or password is wrong, or KAFKA_SECURITY_PROTOCOL "
            f"({settings.security_protocol}) is not what this port speaks."
        ) from error


def _connect(arguments: dict[str, Any], timeout_seconds: float) -> None:
    """Connect and leave. A kafka-python client that cannot connect keeps its thread: end it here."""
    made = []

    def client(**configs: Any) -> Any:
        made.append(KafkaAdminClient.DEFAULT_CONFIG["kafka_client"](**configs))
        return made[0]

    try:
        KafkaAdminClient(
            **arguments, kafka_client=client, bootstrap_timeout_ms=int(timeout_seconds * 1000)
        ).close()
    except KafkaError:
        made[0].close()
        raise


def _socket_fault(
    settings: KafkaSettings, address: str, timeout_seconds: float
) -> ConfigurationError | TryAgain | None:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not host or not re.fullmatch("[0-9]{1,5}", port) or int(port) > _MOST_PORT:
        return ConfigurationError(f"KAFKA_BOOTSTRAP_SERVERS: '{address}' is not host:port.")
    try:
        with socket.create_connection((host, int(port)), timeout_seconds) as plain:
            if settings.security_protocol.endswith("SSL"):
                ssl_context(settings).wrap_socket(plain, server_hostname=host).close()
    except (socket.gaierror, UnicodeError):  # a name that cannot be, such as a..b
        return TryAgain(f"No host is called '{host}' (KAFKA_BOOTSTRAP_SERVERS). Check its name.")
    except ssl.SSLCertVerificationError as error:
        return ConfigurationError(
            f"The certificate of Kafka at {address} is not trusted: {error.verify_message}. "
            "Set KAFKA_SSL_CAFILE to the authority that signed it, and KAFKA_BOOTSTRAP_SERVERS to a "
            "name that it carries."
        )
    except (ssl.SSLError, ConnectionResetError) as error:
        return ConfigurationError(
            f"Kafka at {address} does not speak TLS ({error}). Check the port, or set "
            "KAFKA_SECURITY_PROTOCOL to PLAINTEXT or SASL_PLAINTEXT."
        )
    except OSError as error:
        return TryAgain(
            f"Kafka cannot be reached at {address}: {error}. Check that it runs and that "
            "KAFKA_BOOTSTRAP_SERVERS is its address."
        )
    return None
