"""What a user of a secured Kafka may not do, in words, with the command that allows it."""

from collections.abc import Sequence
from dataclasses import dataclass

from kafka import KafkaConsumer
from kafka.errors import TopicAuthorizationFailedError

from runtime.settings import KafkaSettings

_DENIALS = frozenset({29, 30, 31, 53})  # of a topic, a group, the cluster, a transactional id


@dataclass(frozen=True)
class Lack:
    """
    Something that a user may not do, or that is not there.

    Attributes:
        operation: By Kafka's name; empty where the topic does not exist.
        kind: `topic`, `group` or `transactional-id`.
        name: On the broker.
        hidden: The user may not even ask whether it exists.
        prefixed: It is about all names that begin so.
    """

    operation: str
    kind: str
    name: str
    hidden: bool = False
    prefixed: bool = False

    def __str__(self) -> str:
        if not self.operation:
            return f"the {self.kind} {self.name} does not exist"
        doubt = " (which may not exist: this user may not see it)" if self.hidden else ""
        return f"{self.operation} on {self.kind} {self.name}{'*' if self.prefixed else ''}{doubt}"

    def mended_by(self) -> str:
        """The arguments of kafka-acls.sh that allow it."""
        pattern = " --resource-pattern-type prefixed" if self.prefixed else ""
        return f"--operation {self.operation} --{self.kind} {self.name}{pattern}"


def denial(settings: KafkaSettings, role: str, lacks: Sequence[Lack], why: str = "") -> str:
    """Say what is missing, and the commands that allow it; `why` where only Kafka's words are known."""
    user = principal(settings)
    listed = "".join(f"\n  {lack}" for lack in lacks) or f" {why}"
    mends = "".join(
        f"\n  kafka-acls.sh --bootstrap-server {settings.bootstrap_servers} --add "
        f"--allow-principal '{user}' {lack.mended_by()}"
        for lack in lacks
        if lack.operation
    )
    just = f" Or just this:{mends}" if mends else ""
    return (
        f"Kafka at {settings.bootstrap_servers} does not let {user} do what {role} needs:{listed}\n"
        f"An administrator allows all that a role needs with deploy/acls.sh (docs/security.md).{just}"
    )


def denied_code(error: BaseException | None) -> int | None:
    """
    Kafka's code of the refusal that an error comes from, if it comes from one.

    Both client libraries carry it in `errno`, and so do errors of the system: those do not count.
    """
    while error is not None:
        code = getattr(error, "errno", None)
        if code in _DENIALS and not isinstance(error, OSError):
            return int(code)
        error = error.__cause__ or error.__context__
    return None


def require_visible(consumer: KafkaConsumer) -> None:
    """
    Check that a consumer may still see what was assigned to it; else it would wait without a word.

    Raises:
        TopicAuthorizationFailedError: It may not.
    """
    if hidden := consumer._client.cluster.unauthorized_topics:
        raise TopicAuthorizationFailedError(hidden)


def principal(settings: KafkaSettings) -> str:
    """What Kafka calls this user."""
    if settings.security_protocol.startswith("SASL"):
        return f"User:{settings.sasl_username}"
    return "User:<subject of your certificate>" if settings.ssl_certfile else "User:ANONYMOUS"
