"""A Kafka that asks who one is: SASL over TLS and without, for both client libraries."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faust
import pytest
import trustme
from kafka import KafkaAdminClient

from roomstream.brokers import KafkaNode
from roomstream.ports import reserved_port
from runtime.kafka import kafka_arguments, probe
from runtime.settings import KafkaSettings, load
from schemas.errors import TryAgain
from tests.certificates import pkcs8
from tests.conftest import KAFKA_HOME
from tests.kafka_io import send
from workers.faust_delivery import _credentials

pytestmark = [
    pytest.mark.usefixtures("failed_clients_collected"),
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]
USER, PASSWORD = "ana", "correct horse 7"
MODULES = {
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
}


class SecuredKafka(KafkaNode):
    """A node with a listener for each way to authenticate, beside its open one."""

    format_arguments = ("--add-scram", f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]")

    def __init__(self, home: Path, certificate: trustme.LeafCert) -> None:
        super().__init__(home)
        self._certificate = certificate
        self.ports: dict[str, int] = {}

    def _properties(self, controller_port: int) -> str:
        keystore = self._folder / "broker.pem"
        chain = [pem.bytes() for pem in self._certificate.cert_chain_pems]
        keystore.write_bytes(pkcs8(self._certificate) + b"".join(chain))
        for name in ("SCRAM", "PLAIN"):
            self.ports[name] = self._stack.enter_context(reserved_port())
        plain = super()._properties(controller_port)
        listeners = next(line for line in plain.splitlines() if line.startswith("listeners="))
        secured = ",".join(f"{name}://127.0.0.1:{port}" for name, port in self.ports.items())
        return plain + (
            f"{listeners},{secured}\n"
            f"advertised.listeners=PLAINTEXT://{self.bootstrap_servers},{secured}\n"
            "inter.broker.listener.name=PLAINTEXT\n"
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,"
            "SCRAM:SASL_SSL,PLAIN:SASL_PLAINTEXT\n"
            f"ssl.keystore.type=PEM\nssl.keystore.location={keystore}\n"
            "listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-512\n"
            "listener.name.plain.sasl.enabled.mechanisms=PLAIN\n"
            f"listener.name.scram.scram-sha-512.sasl.jaas.config={MODULES['SCRAM-SHA-512']} required;\n"
            f"listener.name.plain.plain.sasl.jaas.config={MODULES['PLAIN']} required "
            f'user_{USER}="{PASSWORD}";\n'
        )


@pytest.fixture(scope="module")
def secured(authority: trustme.CA) -> Iterator[SecuredKafka]:
    """The node of this module."""
    if not KAFKA_HOME.is_dir():
        pytest.skip("no Apache Kafka: set KAFKA_HOME to an unpacked Kafka of 3.9 or later")
    with SecuredKafka(KAFKA_HOME, authority.issue_cert("127.0.0.1", "localhost")) as node:
        yield node


@pytest.fixture(params=["SCRAM", "PLAIN"])
def options(
    request: pytest.FixtureRequest, secured: SecuredKafka, authority: trustme.CA, tmp_path: Path
) -> dict[str, Any]:
    """The settings that are right for each listener."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    ways: dict[str, dict[str, Any]] = {
        "SCRAM": {
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "SCRAM-SHA-512",
            "ssl_cafile": tmp_path / "ca.pem",
        },
        "PLAIN": {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN"},
    }
    return {
        "bootstrap_servers": f"127.0.0.1:{secured.ports[request.param]}",
        "sasl_username": USER,
        "sasl_password": PASSWORD,
        **ways[request.param],
    }


def test_the_right_password_opens_both_libraries(
    options: dict[str, Any], topic_prefix: str
) -> None:
    """kafka-python sends, Faust reads and answers, with the same settings."""
    kafka, topic = load(KafkaSettings, **options), f"{topic_prefix}letters"
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


def test_a_wrong_password_is_told(options: dict[str, Any]) -> None:
    """Within 15 seconds, as what it is; the password is not in the message."""
    started = time.monotonic()

    with pytest.raises(TryAgain, match="Likely the user name or password is wrong") as told:
        probe(load(KafkaSettings, **{**options, "sasl_password": "guess"}))
    assert time.monotonic() - started < 15
    assert PASSWORD not in str(told.value)
    assert "guess" not in str(told.value)


def test_the_open_door_of_a_secured_port_is_told(options: dict[str, Any]) -> None:
    """A client that does not authenticate is told which protocol it spoke."""
    open_options = {"bootstrap_servers": options["bootstrap_servers"]}

    with pytest.raises(TryAgain, match=r"KAFKA_SECURITY_PROTOCOL\s\(PLAINTEXT\)"):
        probe(load(KafkaSettings, **open_options), timeout_seconds=4)
