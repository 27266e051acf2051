"""A deployment on a secured Kafka whose users may do what deploy/acls.sh allows them, and no more."""

import itertools
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)

from artefacts.store import Store
from roomstream.live import make_live
from runtime.denials import Lack
from runtime.kafka import kafka_arguments
from runtime.permissions import require_access, worker_access
from runtime.settings import KafkaSettings, SharedSettings, load, settings_environment
from runtime.topics import create_topics
from tests.integration.commands import run
from tests.processes import eventually
from tests.releases import tiny_release
from tests.secured_kafka import SecuredKafka
from workers.settings import WorkerSettings

A = TypeVar("A")

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "acls.sh"
_QUICK_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


class SecuredDeployment:
    """
    Topics, a store with a live release, and a user for each role, by SCRAM over TLS.

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
        store = Store(self.shared.store)
        manifest = msgspec.structs.replace(tiny_release(store), learner="untrained")
        store.publish(manifest)  # one that a trainer may surpass at once
        self.release = manifest.release
        make_live(self.administrator, self.shared, self.release, "the first one")
        _script(node, prefix, "--worker", "User:worker")
        require_access(self.administrator, prefix, worker_access(self.group))  # groups can meet
        with KafkaAdminClient(**kafka_arguments(self.administrator)) as admin:
            for role in (
                "trainer",
                "operator",
                "upstream",
                "reviewer",
                "reader",
            ):  # the same, without a JVM for each
                admin.create_acls(
                    [_acl(role, each, ACL) for each in allowed_by_script(prefix, role)]
                )

    def kafka(self, user: str) -> KafkaSettings:
        """How a user reaches Kafka."""
        return load(KafkaSettings, **self._node.options("SCRAM", user))

    def environment(self, user: str) -> dict[str, str]:
        """The same, and the deployment, as variables."""
        return {
            **settings_environment(self.kafka(user)),
            **settings_environment(self.shared),
        }

    def run(self, user: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run `roomstream` as a user, to its end."""
        return run(self.environment(user), *arguments)

    @contextmanager
    def without(self, user: str, lack: Lack) -> Iterator[None]:
        """Take one permission away for the length of a block."""
        chosen = _acl(user, lack, ACLFilter)
        with KafkaAdminClient(**kafka_arguments(self.administrator)) as admin:
            ((_, taken, _),) = admin.delete_acls([chosen])
            assert len(taken) == 1, lack
            eventually(lambda: not admin.describe_acls(chosen)[0], "it is gone")
            try:
                yield
            finally:
                admin.create_acls(taken)
                eventually(lambda: bool(admin.describe_acls(chosen)[0]), "it is back")


def allowed_by_script(prefix: str, role: str) -> list[Lack]:
    """What deploy/acls.sh would allow a role."""
    said = _script(None, prefix, f"--{role}", "User:x", "--dry-run")
    return [each for line in said.splitlines() for each in _of_command(shlex.split(line))]


def _of_command(words: list[str]) -> Iterator[Lack]:
    """Take a command of kafka-acls.sh apart: every operation on every resource."""
    pairs = list(itertools.pairwise(words))
    prefixed = ("--resource-pattern-type", "prefixed") in pairs
    for option, operation in pairs:
        if option == "--operation":
            for kind, name in pairs:
                if kind in ("--topic", "--group", "--transactional-id"):
                    yield Lack(operation, kind.removeprefix("--"), name, prefixed=prefixed)


def _acl(user: str, lack: Lack, kind: Callable[..., A]) -> A:
    pattern = ResourcePattern if kind is ACL else ResourcePatternFilter
    prefixed = ACLResourcePatternType.PREFIXED if lack.prefixed else ACLResourcePatternType.LITERAL
    operation = "".join(f"_{each}" if each.isupper() else each for each in lack.operation)
    resource = ResourceType[lack.kind.upper().replace("-", "_")]
    return kind(
        f"User:{user}",
        "*",
        ACLOperation[operation.lstrip("_").upper()],
        ACLPermissionType.ALLOW,
        pattern(resource, lack.name, prefixed),
    )


def _script(node: SecuredKafka | None, prefix: str, *arguments: str) -> str:
    home = {"KAFKA_HOME": str(node.home)} if node else {}
    servers = node.bootstrap_servers if node else "nowhere:9092"
    return subprocess.run(
        [SCRIPT, "--bootstrap-server", servers, "--prefix", prefix, *arguments],
        env={**os.environ, **home, "KAFKA_JVM_PERFORMANCE_OPTS": _QUICK_JVM},
        capture_output=True,
        check=True,
        text=True,
    ).stdout
