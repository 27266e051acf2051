"""A knock at a broker's door: let in, or told in words why not."""

import re
import socket
import ssl
from collections.abc import Callable
from contextlib import closing

from kafka.errors import (
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)

from runtime.conversation import Answer, Conversation, speaks_tls, wants_sasl
from runtime.settings import KafkaSettings
from schemas.errors import ConfigurationError, RoomstreamError, TryAgain

_MOST_PORT = 65535


class Door:
    """
    A broker's address, and how we would come in.

    Args:
        settings: How to reach Kafka.
        address: One of its brokers, as host:port.
        context: For TLS; None where the protocol has none.
        timeout_seconds: So long for each step.

    Raises:
        ConfigurationError: The address is none.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        address: str,
        context: ssl.SSLContext | None,
        timeout_seconds: float,
    ) -> None:
        host, _, port = address.rpartition(":")
        self._host = host.strip("[]")
        if not self._host or not re.fullmatch("[0-9]{1,5}", port) or int(port) > _MOST_PORT:
            raise ConfigurationError(f"KAFKA_BOOTSTRAP_SERVERS: '{address}' is not host:port.")
        self._port = int(port)
        self._settings = settings
        self._where = f"Kafka at {address}"
        self._address = address
        self._context = context
        self._timeout_seconds = timeout_seconds

    def knock(self) -> Answer:
        """
        Come in as a client does, and leave.

        Raises:
            ConfigurationError: Protocol, certificate, user or password is wrong.
            TryAgain: The broker cannot be reached, or does not answer as one does.
        """
        with closing(self._connected()) as plain, closing(self._secured(plain)) as stream:
            try:
                conversation = Conversation(stream)
                if self._settings.security_protocol.startswith("SASL"):
                    conversation.authenticate(self._settings)
                return conversation.greet()
            except (KafkaError, OSError, ValueError) as error:
                raise self._refusal(error) from error

    def _connected(self) -> socket.socket:
        try:
            return socket.create_connection((self._host, self._port), self._timeout_seconds)
        except (socket.gaierror, UnicodeError) as error:  # a name that cannot be, such as a..b
            raise TryAgain(
                f"No host is called '{self._host}' (KAFKA_BOOTSTRAP_SERVERS). Check its name."
            ) from error
        except OSError as error:
            raise self._out_of_reach(error) from error

    def _secured(self, plain: socket.socket) -> socket.socket:
        if self._context is None:
            return plain
        try:
            return self._context.wrap_socket(plain, server_hostname=self._host)
        except ssl.SSLCertVerificationError as error:
            raise ConfigurationError(
                f"The certificate of {self._where} is not trusted: {error.verify_message}. "
                "Set KAFKA_SSL_CAFILE to the authority that signed it, and KAFKA_BOOTSTRAP_SERVERS "
                "to a name that it carries."
            ) from error
        except (ssl.SSLError, ConnectionResetError) as error:
            raise ConfigurationError(
                f"{self._where} does not speak TLS ({error}). Check the port, or set "
                "KAFKA_SECURITY_PROTOCOL to PLAINTEXT or SASL_PLAINTEXT."
            ) from error
        except OSError as error:
            raise self._out_of_reach(error) from error

    def _out_of_reach(self, error: OSError) -> TryAgain:
        return TryAgain(
            f"Kafka cannot be reached at {self._address}: {error}. Check that it runs and that "
            "KAFKA_BOOTSTRAP_SERVERS is its address."
        )

    def _refusal(self, error: Exception) -> RoomstreamError:
        settings, protocol = self._settings, self._settings.security_protocol
        if isinstance(error, SaslAuthenticationFailedError):
            return ConfigurationError(
                f"{self._where} does not let {settings.sasl_username!r} in: the user name or the "
                f"password is wrong ({settings.sasl_mechanism}). Check KAFKA_SASL_USERNAME, and "
                "KAFKA_SASL_PASSWORD or KAFKA_SASL_PASSWORD_FILE."
            )
        if isinstance(error, UnsupportedSaslMechanismError):
            return ConfigurationError(
                f"{self._where} does not take {settings.sasl_mechanism}. Set KAFKA_SASL_MECHANISM to "
                "one that is enabled for this port (sasl.enabled.mechanisms)."
            )
        if isinstance(error, IllegalSaslStateError):
            return ConfigurationError(
                f"{self._where} asks nobody who they are, but KAFKA_SECURITY_PROTOCOL is {protocol}. "
                f"Set it to {protocol.removeprefix('SASL_')}, or choose another port."
            )
        if isinstance(error, ssl.SSLError):
            return ConfigurationError(
                f"{self._where} ends the TLS connection ({error}). If it asks for a certificate of "
                "yours, set KAFKA_SSL_CERTFILE and KAFKA_SSL_KEYFILE."
            )
        return self._wrong_protocol() or TryAgain(
            f"{self._where} takes connections but not this client ({error}). Check that it is a Kafka "
            "broker and has started."
        )

    def _wrong_protocol(self) -> ConfigurationError | None:
        """What the port speaks instead, as far as it says."""
        protocol = self._settings.security_protocol
        if self._context is None and self._try(speaks_tls):
            return ConfigurationError(
                f"{self._where} speaks TLS, but KAFKA_SECURITY_PROTOCOL is {protocol}. Set it to SSL, "
                "or to SASL_SSL where it asks for a user."
            )
        if "SASL" not in protocol and self._try(self._wants_a_user):
            return ConfigurationError(
                f"{self._where} asks who you are, but KAFKA_SECURITY_PROTOCOL is {protocol}. Set it to "
                f"SASL_{protocol}, with KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD or "
                "KAFKA_SASL_PASSWORD_FILE."
            )
        return None

    def _wants_a_user(self, plain: socket.socket) -> bool:
        with closing(self._secured(plain)) as stream:
            return wants_sasl(stream)

    def _try(self, question: Callable[[socket.socket], bool]) -> bool:
        try:
            with closing(self._connected()) as plain:
                return question(plain)
        except (KafkaError, RoomstreamError, OSError, ValueError):
            return False
