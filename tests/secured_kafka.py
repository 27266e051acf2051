"""A Kafka that asks who one is and lets each do only what they may."""

from pathlib import Path
from typing import Any

import trustme

from roomstream.brokers import KafkaNode
from roomstream.ports import reserved_port
from tests.certificates import pkcs8

USER, PASSWORD = "ana", "correct horse 7"
SCRAM_MODULE = "org.apache.kafka.common.security.scram.ScramLoginModule"
PLAIN_MODULE = "org.apache.kafka.common.security.plain.PlainLoginModule"
SERVICES = ("worker", "trainer", "operator", "upstream", "reviewer", "reader", "nobody")
"""Users of the SCRAM port, their password that of `USER`, who may do nothing at first."""


class SecuredKafka(KafkaNode):
    """
    A node with a port for each way to authenticate, beside its open one, and an authorizer.

    `USER` may do everything, and so may anybody at the open port; others what ACLs let them.
    """

    format_arguments = tuple(
        f"--add-scram={mechanism}=[name={name},password={PASSWORD}]"
        for mechanism, names in {
            "SCRAM-SHA-512": (USER, *SERVICES),
            "SCRAM-SHA-256": (USER,),
        }.items()
        for name in names
    )

    def __init__(self, home: Path, authority: trustme.CA) -> None:
        super().__init__(home)
        self.home = self._home
        self._certificate = authority.issue_cert("127.0.0.1", "localhost")
        self._authority = authority
        self.ports: dict[str, int] = {}

    def options(self, way: str = "SCRAM", user: str = USER) -> dict[str, Any]:
        """The right settings for `SCRAM` or `MUTUAL` (with TLS), or `PLAIN` (without)."""
        authority, person = self._folder / "ca.pem", self._folder / "person.pem"
        protocols: dict[str, dict[str, Any]] = {
            "SCRAM": {"security_protocol": "SASL_SSL", "ssl_cafile": authority},
            "PLAIN": {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN"},
            "MUTUAL": {
                "security_protocol": "SSL",
                "ssl_cafile": authority,
                "ssl_certfile": person,
            },
        }
        return {
            "bootstrap_servers": f"127.0.0.1:{self.ports[way]}",
            **protocols[way],
            **({} if way == "MUTUAL" else {"sasl_username": user, "sasl_password": PASSWORD}),
        }

    def _properties(self, controller_port: int) -> str:
        keystore, authority = self._folder / "broker.pem", self._folder / "ca.pem"
        chain = [pem.bytes() for pem in self._certificate.cert_chain_pems]
        keystore.write_bytes(pkcs8(self._certificate) + b"".join(chain))
        self._authority.cert_pem.write_to_path(authority)
        person = self._authority.issue_cert(f"{USER}@localhost", common_name=USER)
        person.private_key_and_cert_chain_pem.write_to_path(self._folder / "person.pem")
        for name in ("SCRAM", "PLAIN", "MUTUAL"):
            self.ports[name] = self._stack.enter_context(reserved_port())
        plain = super()._properties(controller_port)
        listeners = next(line for line in plain.splitlines() if line.startswith("listeners="))
        secured = ",".join(f"{name}://127.0.0.1:{port}" for name, port in self.ports.items())
        return plain + (
            f"{listeners},{secured}\n"
            f"advertised.listeners=PLAINTEXT://{self.bootstrap_servers},{secured}\n"
            "inter.broker.listener.name=PLAINTEXT\n"
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,"
            "SCRAM:SASL_SSL,PLAIN:SASL_PLAINTEXT,MUTUAL:SSL\n"
            f"ssl.keystore.type=PEM\nssl.keystore.location={keystore}\n"
            f"ssl.truststore.type=PEM\nssl.truststore.location={authority}\n"
            "listener.name.mutual.ssl.client.auth=required\n"
            "ssl.principal.mapping.rules=RULE:^CN=([^,]+),.*$/$1/\n"
            "listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256\n"
            "listener.name.plain.sasl.enabled.mechanisms=PLAIN\n"
            f"listener.name.scram.scram-sha-512.sasl.jaas.config={SCRAM_MODULE} required;\n"
            f"listener.name.scram.scram-sha-256.sasl.jaas.config={SCRAM_MODULE} required;\n"
            f"listener.name.plain.plain.sasl.jaas.config={PLAIN_MODULE} required "
            f'user_{USER}="{PASSWORD}";\n'
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"
            f"super.users=User:ANONYMOUS;User:{USER}\n"
        )
