"""Whether Kafka lets us in, how safely, and what for."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from roomstream.doctor.findings import Deployment, Finding
from runtime.denials import Lack, denial, principal
from runtime.kafka import addresses, admin_client, knock_at, probe
from runtime.permissions import find_lacks
from runtime.settings import KafkaSettings
from schemas.errors import RoomstreamError

_SOON_DAYS = 30
_LOOPBACK = ("localhost", "127.", "[::1]")


def connection(deployment: Deployment) -> Iterator[Finding]:
    """Come in by the bootstrap servers, and at every broker by the address that it gives."""
    kafka = deployment.kafka
    answer = probe(kafka)
    yield Finding(
        "connection",
        "ok",
        f"Kafka at {kafka.bootstrap_servers} answers; brokers: {', '.join(answer.brokers)}.",
    )
    others = [broker for broker in answer.brokers if broker not in addresses(kafka)]
    refused = {
        address: fault
        for address, fault in knock_at(kafka, others).items()
        if isinstance(fault, RoomstreamError)
    }
    for address, fault in refused.items():
        yield Finding(
            "connection",
            "failed" if len(refused) == len(answer.brokers) else "warning",
            f"A broker says that it listens at {address}, but: {fault}",
            "If it runs, set its advertised.listeners to an address that this machine can reach.",
        )


def security(deployment: Deployment) -> Iterator[Finding]:
    """Protocol, certificate, and what this user may not do."""
    kafka = deployment.kafka
    yield _protocol(kafka)
    if ends := probe(kafka).certificate_ends:
        yield _certificate(ends, datetime.now(UTC))
    elif kafka.security_protocol.endswith("SSL") and not kafka.ssl_check_hostname:
        yield Finding(
            "security",
            "warning",
            "A broker's certificate may carry any name (KAFKA_SSL_CHECK_HOSTNAME=false).",
            "Set it to true, and KAFKA_BOOTSTRAP_SERVERS to names that the certificates carry.",
        )
    with admin_client(kafka) as admin:
        lacks = {
            role: [
                lack
                for lack in find_lacks(admin, deployment.shared.topic_prefix, access)
                if lack.operation
            ]
            for role, access in deployment.accesses().items()
        }
    yield _permissions(kafka, lacks)


def _protocol(kafka: KafkaSettings) -> Finding:
    protocol = kafka.security_protocol
    mechanism = f" ({kafka.sasl_mechanism})" if protocol.startswith("SASL") else ""
    says = f"{protocol} as {principal(kafka)}{mechanism}."
    near = all(address.startswith(_LOOPBACK) for address in addresses(kafka))
    if protocol.endswith("SSL") or near:
        return Finding("security", "ok", says)
    return Finding(
        "security",
        "warning",
        f"{says} What is sent can be read and changed on the way.",
        "Set KAFKA_SECURITY_PROTOCOL to SASL_SSL or SSL, at a port that speaks TLS.",
    )


def _certificate(ends: datetime, now: datetime) -> Finding:
    days = (ends - now).days
    says = f"The broker's certificate ends on {ends:%Y-%m-%d}, in {days} days."
    if days < _SOON_DAYS:
        return Finding("security", "warning", says, "Renew it: after that nobody can connect.")
    return Finding("security", "ok", says)


def _permissions(kafka: KafkaSettings, lacks: Mapping[str, Sequence[Lack]]) -> Finding:
    """Judge by the best of the roles: most users are for one of them."""
    able = [role for role, missing in lacks.items() if not missing]
    if able:
        return Finding(
            "security", "ok", f"{principal(kafka)} may do what these do: {', '.join(able)}."
        )
    role, missing = min(lacks.items(), key=lambda item: len(item[1]))
    return Finding("security", "failed", denial(kafka, f"the {role}", missing))
