"""
One conversation with a broker over a socket, to hear why it refuses us.

kafka-python's clients try again until a time-out and keep the reason to themselves; what a broker says
in front of hanging up is often lost on them. So the first words are spoken here, with their codec.
"""

import contextlib
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kafka.errors import (
    KafkaConnectionError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
    for_code,
)
from kafka.net.sasl import get_sasl_mechanism
from kafka.protocol.broker_version_data import BrokerVersionData
from kafka.protocol.metadata import ApiVersionsRequest, MetadataRequest
from kafka.protocol.parser import KafkaProtocol
from kafka.protocol.sasl import SaslAuthenticateRequest, SaslHandshakeRequest

from runtime.settings import KafkaSettings

_CHUNK_BYTES = 65536


@dataclass(frozen=True)
class Answer:
    """
    What a broker says to a client that it lets in.

    Attributes:
        brokers: Where all brokers say that they listen, as host:port.
        certificate_ends: When its TLS certificate ends, if it has shown one.
    """

    brokers: tuple[str, ...]
    certificate_ends: datetime | None


class Conversation:
    """
    Questions and answers on a connected socket, which has a time-out.

    Raises:
        KafkaError: A method's question was refused, or the broker hung up.
        OSError: The connection failed or was too slow.
    """

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self._protocol = KafkaProtocol(client_id="roomstream-probe")
        keys = self._ask(ApiVersionsRequest(), version=0).api_keys
        self._versions = BrokerVersionData(
            api_versions={key.api_key: (key.min_version, key.max_version) for key in keys}
        )

    def mechanisms(self, wanted: str) -> None:
        """Begin to authenticate by a mechanism that the broker must have."""
        self._checked(self._ask(SaslHandshakeRequest(mechanism=wanted), version=1))

    def authenticate(self, settings: KafkaSettings) -> None:
        """Say who we are."""
        self.mechanisms(settings.sasl_mechanism)
        mechanism = get_sasl_mechanism(settings.sasl_mechanism)(
            sasl_mechanism=settings.sasl_mechanism,
            sasl_plain_username=settings.sasl_username,
            sasl_plain_password=settings.password(),
        )
        while not mechanism.is_done():
            response = self._ask(SaslAuthenticateRequest(mechanism.auth_bytes()), version=1)
            if response.error_code:
                raise SaslAuthenticationFailedError
            mechanism.receive(response.auth_bytes)

    def greet(self) -> Answer:
        """Ask for the brokers, as every client does first."""
        response = self._ask(MetadataRequest(topics=[]))
        brokers = tuple(f"{each.host}:{each.port}" for each in response.brokers)
        return Answer(brokers, _certificate_ends(self._stream))

    def _ask(self, request: Any, version: int | None = None) -> Any:
        request.API_VERSION = self._versions.api_version(request) if version is None else version
        self._protocol.send_request(request)
        self._stream.sendall(self._protocol.send_bytes())
        while not (responses := self._protocol.receive_bytes(self._received())):
            pass
        return responses[0][1]

    def _received(self) -> bytes:
        data = self._stream.recv(_CHUNK_BYTES)
        if not data:
            raise KafkaConnectionError("it hung up")
        return data

    @staticmethod
    def _checked(response: Any) -> None:
        if response.error_code:
            raise for_code(response.error_code)


def wants_sasl(stream: socket.socket) -> bool:
    """Whether a broker asks who one is: it then answers to a mechanism that it cannot have."""
    try:
        Conversation(stream).mechanisms("NONE")
    except UnsupportedSaslMechanismError:
        return True
    return False


def speaks_tls(stream: socket.socket) -> bool:
    """Whether a port answers to a TLS greeting, trusted or not."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with contextlib.suppress(OSError), context.wrap_socket(stream):
        return True
    return False


def _certificate_ends(stream: socket.socket) -> datetime | None:
    certificate = stream.getpeercert() if isinstance(stream, ssl.SSLSocket) else None
    if not certificate:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
