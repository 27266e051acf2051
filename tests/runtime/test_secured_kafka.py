"""A Kafka that asks who one is: SASL over TLS and without, certificates, for both client libraries."""

import asyncio
import time
from typing import Any

import faust
import pytest
from kafka import KafkaAdminClient

from runtime.kafka import kafka_arguments, probe
from runtime.settings import KafkaSettings, load
from schemas.errors import ConfigurationError
from tests.kafka_io import send
from tests.secured_kafka import PASSWORD, SecuredKafka
from workers.faust_delivery import _credentials


@pytest.fixture(params=["SCRAM", "PLAIN"])
def options(request: pytest.FixtureRequest, secured_kafka: SecuredKafka) -> dict[str, Any]:
    """The settings that are right for each port."""
    return secured_kafka.options(request.param)


@pytest.mark.parametrize(
    ("way", "changed"),
    [
        ("SCRAM", {}),
        ("SCRAM", {"sasl_mechanism": "SCRAM-SHA-256"}),
        ("PLAIN", {}),
        ("MUTUAL", {}),
    ],
)
def test_the_right_password_or_certificate_opens_both_libraries(
    secured_kafka: SecuredKafka, topic_prefix: str, way: str, changed: dict[str, str]
) -> None:
    """kafka-python sends, Faust reads and answers, with the same settings."""
    kafka = load(KafkaSettings, **{**secured_kafka.options(way), **changed})
    topic = f"{topic_prefix}letters"
    probe(kafka)
    with KafkaAdminClient(**kafka_arguments(kafka)) as admin:
        admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}})
    send(kafka, topic, [(b"k", b"question", [])])

    assert asyncio.run(round_trip(kafka, topic)) == [b"question", b"answer"]


async def round_trip(kafka: KafkaSettings, topic: str) -> list[bytes]:
    """Take a message with Faust, send another, and take that."""
    app = faust.App(
        f"{topic}-group",
        broker=f"kafka://{kafka.bootstrap_servers}",
        broker_credentials=_credentials(kafka),
        consumer_auto_offset_reset="earliest",
        store="memory://",
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
    )
    channel = app.topic(topic, key_serializer="raw", value_serializer="raw", value_type=bytes)
    taken: list[bytes] = []
    enough = asyncio.Event()

    async def take(stream: Any) -> None:
        async for value in stream:
            taken.append(value)
            if len(taken) == 1:
                await (await app.producer.send(topic, b"k", b"answer", None, None, []))
            else:
                enough.set()

    app.agent(channel, name="take")(take)
    app.finalize()
    await app.start()
    try:
        await asyncio.wait_for(enough.wait(), 30)
    finally:
        await app.stop()
    return taken


def told(options: dict[str, Any]) -> str:
    """What a probe says, within 10 seconds."""
    started = time.monotonic()
    with pytest.raises(ConfigurationError) as raised:
        probe(load(KafkaSettings, **options))

    assert time.monotonic() - started < 10
    assert PASSWORD not in str(raised.value)
    return str(raised.value)


def test_a_wrong_password_is_told(options: dict[str, Any]) -> None:
    """As what it is, with the user's name; the password is not in the message."""
    message = told({**options, "sasl_password": "guess"})

    assert "does not let 'ana' in: the user name or the password is wrong" in message
    assert "guess" not in message


def test_an_unknown_user_is_told(options: dict[str, Any]) -> None:
    """Kafka makes no difference between the two, so neither do we."""
    assert "does not let 'anna' in" in told({**options, "sasl_username": "anna"})


def test_a_mechanism_that_is_not_enabled_is_told(options: dict[str, Any]) -> None:
    """It is no question of the password."""
    other = "SCRAM-SHA-256" if options.get("sasl_mechanism") == "PLAIN" else "PLAIN"
    message = told({**options, "sasl_mechanism": other})

    assert f"does not take {other}. Set KAFKA_SASL_MECHANISM" in message


def test_the_open_door_of_a_secured_port_is_told(options: dict[str, Any]) -> None:
    """A client that says nobody's name is told to; with TLS, that comes first."""
    wants = {"SASL_SSL": "speaks TLS", "SASL_PLAINTEXT": "asks who you are"}[
        options["security_protocol"]
    ]
    message = told({"bootstrap_servers": options["bootstrap_servers"]})

    assert wants in message
    assert "KAFKA_SECURITY_PROTOCOL is PLAINTEXT. Set it to S" in message


def test_a_name_for_tls_alone_is_asked_for(secured_kafka: SecuredKafka) -> None:
    """TLS is right, but the port wants a user too."""
    options = secured_kafka.options("SCRAM")
    message = told(
        {name: options[name] for name in ("bootstrap_servers", "ssl_cafile")}
        | {"security_protocol": "SSL"}
    )

    assert "asks who you are, but KAFKA_SECURITY_PROTOCOL is SSL. Set it to SASL_SSL" in message


def test_a_name_that_nobody_asks_for_is_told(secured_kafka: SecuredKafka) -> None:
    """SASL at an open port."""
    options = secured_kafka.options("PLAIN")
    message = told({**options, "bootstrap_servers": secured_kafka.bootstrap_servers})

    assert "asks nobody who they are" in message
    assert "Set it to PLAINTEXT" in message
