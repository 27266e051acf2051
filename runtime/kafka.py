"""Connections to Kafka: the settings, as each client library wants them, and a first probe."""

import contextlib
import ssl
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from runtime.conversation import Answer
from runtime.knock import Door
from runtime.settings import KafkaSettings
from schemas.errors import ConfigurationError, RoomstreamError, TryAgain

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


def require_transactions(settings: KafkaSettings) -> None:
    """
    Check that the brokers have transactions, by what came with them to stay (KIP-664, Kafka 3.0).

    Some brokers accept every request of a transaction and show aborted messages all the same.

    Raises:
        ConfigurationError: They have none.
        TryAgain: The broker cannot be reached.
    """
    with admin_client(settings) as admin:
        known = {key.name for key in admin.api_versions()}
    if "DescribeTransactions" not in known:
        raise ConfigurationError(
            f"The brokers at {settings.bootstrap_servers} have no transactions, which exactly-once "
            "delivery needs. Use Apache Kafka from 3.0 on, or WORKER_DELIVERY=at-least-once."
        )


def probe(settings: KafkaSettings, timeout_seconds: float = 10) -> Answer:
    """
    Knock at every broker once, so that what is wrong is named instead of a client's time-out.

    Returns:
        What the first broker says that lets us in.

    Raises:
        TryAgain: No broker can be reached; says where and why.
        ConfigurationError: The address, protocol, certificate, user or password is wrong.
    """
    every = addresses(settings)
    if not every:
        raise ConfigurationError("KAFKA_BOOTSTRAP_SERVERS is empty. Give it as host:port.")
    answers = list(knock_at(settings, every, timeout_seconds / 4).values())
    for answer in answers:
        if isinstance(answer, Answer):
            return answer
    raise cast("RoomstreamError", answers[0])


def knock_at(
    settings: KafkaSettings, doors: Sequence[str], step_seconds: float = 2.5
) -> dict[str, Answer | RoomstreamError]:
    """
    Knock at the doors of some brokers at once.

    Returns:
        By address, what it says, or why it does not let us in.

    Raises:
        ConfigurationError: A certificate or key cannot be read.
    """
    tls = ssl_context(settings) if settings.security_protocol.endswith("SSL") else None

    def knock(address: str) -> Answer | RoomstreamError:
        try:
            return Door(settings, address, tls, step_seconds).knock()
        except RoomstreamError as error:
            return error

    with ThreadPoolExecutor(max(1, len(doors))) as pool:
        return dict(zip(doors, pool.map(knock, doors), strict=True))
