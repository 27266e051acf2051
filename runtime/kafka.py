"""Connections to Kafka: the settings, as each client library wants them, and a first probe."""

import contextlib
import ssl
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

import runtime.header_names  # noqa: F401 - what makes consumers read every header name
from runtime.conversation import Answer
from runtime.knock import Door
from runtime.settings import KafkaSettings
from schemas.errors import ConfigurationError, RoomstreamError, TryAgain

MAX_REQUEST_BYTES = 16 * 1024 * 1024
"""The most that our producers send at once: what is too large is the topic's decision, not theirs."""

TRANSACTION_SECONDS = 10
"""After so long the brokers take a transaction's producer for dead, and abort what it has begun."""

DELIVERY_SECONDS = 8
"""What a client waits for the brokers; less than a transaction, which else would seem taken over."""

FETCH_WAIT_MS = 250
"""How long brokers hold a fetch that finds nothing; what comes meanwhile they send at once.

Partitions that are assigned meanwhile wait for its end. A worker that idles and asks every 50 ms takes 6%
of a core, and as much of the brokers'.
"""

_CLOSE_SECONDS = 2


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


def close_producer(producer: KafkaProducer) -> None:
    """
    Close a producer, and give up what the brokers have not confirmed yet.

    `KafkaProducer.close` does not get past such messages: it raises, and the producer's thread goes on
    trying to send them, for minutes, behind whatever was sent since.
    """
    try:
        producer.flush(timeout=0)
    except KafkaTimeoutError:
        producer._sender.force_close()  # fails what is left, and so lets the thread end
    with contextlib.suppress(KafkaTimeoutError):
        producer.close(timeout=_CLOSE_SECONDS)


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
