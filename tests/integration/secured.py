"""A deployment on a secured Kafka whose users may do what deploy/acls.sh allows them, and no more."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.admin import (
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePatternFilter,
    ResourceType,
)

from artefacts.store import Store
from roomstream.live import make_live
from runtime.denials import Lack
from runtime.kafka import kafka_arguments
from runtime.settings import KafkaSettings, SharedSettings, load, settings_environment
from runtime.topics import create_topics
from tests.processes import eventually
from tests.releases import tiny_release
from tests.secured_kafka import SecuredKafka
from workers.settings import WorkerSettings

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "acls.sh"
_QUICK_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


class SecuredDeployment:
    """
    Topics, a store with a live release, and a user of the PLAIN port for each role.

    Args:
        node: The Kafka.
        prefix: Of the topics.
        folder: For the store.
    """

    def __init__(self, node: SecuredKafka, prefix: str, folder: Path) -> None:
        self._node = node
        self.prefix = prefix
        self.group = WorkerSettings().consumer_group(prefix)
        self.shared = SharedSettings(
            store=f"file://{folder / 'store'}", cache=folder / "cache", topic_prefix=prefix
        )
        self.administrator = load(KafkaSettings, bootstrap_servers=node.bootstrap_servers)
        create_topics(self.administrator, prefix, partitions=2, replication_factor=1)
        self.release = tiny_release(Store(self.shared.store)).release
        make_live(self.administrator, self.shared, self.release, "the first one")
        roles = ("worker", "trainer", "operator", "upstream")
        self._script(*(each for role in roles for each in (f"--{role}", f"User:{role}")))

    def kafka(self, user: str) -> KafkaSettings:
        """How a user reaches Kafka."""
        return load(KafkaSettings, **self._node.options("PLAIN", user))

    def environment(self, user: str) -> dict[str, str]:
        """The same, and the deployment, as variables."""
        return {
            **os.environ,
            **settings_environment(self.kafka(user)),
            **settings_environment(self.shared),
            "COLUMNS": "300",
        }

    def run(self, user: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run `roomstream` as a user, to its end."""
        return subprocess.run(
            [sys.executable, "-P", "-m", "roomstream", *arguments],
            env=self.environment(user),
            capture_output=True,
            text=True,
            timeout=120,
        )

    @contextmanager
    def without(self, user: str, lack: Lack) -> Iterator[None]:
        """Take one permission away for the length of a block."""
        pattern = (
            ACLResourcePatternType.PREFIXED if lack.prefixed else ACLResourcePatternType.LITERAL
        )
        name = "".join(f"_{each}" if each.isupper() else each for each in lack.operation)
        chosen = ACLFilter(
            f"User:{user}",
            "*",
            ACLOperation[name.lstrip("_").upper()],
            ACLPermissionType.ALLOW,
            ResourcePatternFilter(
                ResourceType[lack.kind.upper().replace("-", "_")], lack.name, pattern
            ),
        )
        with KafkaAdminClient(**kafka_arguments(self.administrator)) as admin:
            ((_, taken, _),) = admin.delete_acls([chosen])
            assert len(taken) == 1, lack
            eventually(lambda: not admin.describe_acls(chosen)[0], "it is gone")
            try:
                yield
            finally:
                admin.create_acls(taken)
                eventually(lambda: bool(admin.describe_acls(chosen)[0]), "it is back")

    def _script(self, *arguments: str) -> None:
        subprocess.run(
            [
                SCRIPT,
                "--bootstrap-server",
                self._node.bootstrap_servers,
                "--prefix",
                self.prefix,
                *arguments,
            ],
            env={
                **os.environ,
                "KAFKA_HOME": str(self._node.home),
                "KAFKA_JVM_PERFORMANCE_OPTS": _QUICK_JVM,
            },
            capture_output=True,
            check=True,
        )
