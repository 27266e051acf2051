"""A Kafka that asks who one is and lets each do only what they may."""

from pathlib import Path
from typing import Any

import trustme

from roomstream.brokers import KafkaNode
from roomstream.ports import reserved_port
from tests.certificates import pkcs8

USER, PASSWORD = "ana", "correct horse 7"
MODULES = {
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
}
SERVICES = ("worker", "trainer", "operator", "upstream", "nobody")
"""Users of the PLAIN port, their password that of `USER`, who may do nothing at first."""


class SecuredKafka(KafkaNode):
    """
    A node with a port for each way to authenticate, beside its open one, and an authorizer.

    `USER` may do everything, and so may anybody at the open port; others what ACLs let them.
    """

    format_arguments = ("--add-scram", f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]")

    def __init__(self, home: Path, authority: trustme.CA) -> None:
        super().__init__(home)
        self.home = self._home
        self._certificate = authority.issue_cert("127.0.0.1", "localhost")
        self._authority = authority
        self.ports: dict[str, int] = {}

    def options(self, way: str = "PLAIN", user: str = USER) -> dict[str, Any]:
        """The right settings for `SCRAM` (with TLS) or `PLAIN` (without)."""
        secured = {"security_protocol": "SASL_SSL", "ssl_cafile": self._folder / "ca.pem"}
        open_ = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN"}
        return {
            "bootstrap_servers": f"127.0.0.1:{self.ports[way]}",
            "sasl_username": user,
            "sasl_password": PASSWORD,
            **(secured if way == "SCRAM" else open_),
        }

    def _properties(self, controller_port: int) -> str:
        keystore = self._folder / "broker.pem"
        chain = [pem.bytes() for pem in self._certificate.cert_chain_pems]
        keystore.write_bytes(pkcs8(self._certificate) + b"".join(chain))
        self._authority.cert_pem.write_to_path(self._folder / "ca.pem")
        for name in ("SCRAM", "PLAIN"):
            self.ports[name] = self._stack.enter_context(reserved_port())
        plain = super()._properties(controller_port)
        listeners = next(line for line in plain.splitlines() if line.startswith("listeners="))
        secured = ",".join(f"{name}://127.0.0.1:{port}" for name, port in self.ports.items())
        users = " ".join(f'user_{name}="{PASSWORD}"' for name in (USER, *SERVICES))
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
            f"listener.name.plain.plain.sasl.jaas.config={MODULES['PLAIN']} required {users};\n"
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"
            f"super.users=User:ANONYMOUS;User:{USER}\n"
        )
