"""Apache Kafka of one node or three, whose nodes may be killed, with a proxy before each."""

import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from roomstream.brokers import KafkaNode, new_cluster_id
from roomstream.ports import reserved_port
from runtime.kafka import admin_client, probe
from runtime.settings import KafkaSettings
from schemas.errors import RoomstreamError
from tests.chaos.proxy import Proxy
from tests.conftest import KAFKA_HOME
from tests.processes import eventually


class Node(KafkaNode):
    """
    One of several combined nodes; its second listener is advertised as the proxy before it.

    Args:
        home: An unpacked Kafka.
        number: Its node id, from 1.
        controllers: The port of every node's controller.
        cluster_id: What all nodes were formatted with.
    """

    def __init__(
        self, home: Path, number: int, controllers: Sequence[int], cluster_id: str
    ) -> None:
        super().__init__(home)
        self._number, self._controllers, self._cluster_id = number, controllers, cluster_id

    def __enter__(self) -> Self:
        self._behind = self._stack.enter_context(reserved_port())
        self.proxy = self._stack.enter_context(Proxy(self._behind))
        return super().__enter__()

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()

    def await_answer(self) -> None:
        """Wait until it answers; one of several may not before the others run too."""
        super()._wait()

    def _wait(self) -> None:
        pass

    def _environment(self) -> dict[str, str]:
        return {**super()._environment(), "KAFKA_HEAP_OPTS": "-Xms128M -Xmx384M"}

    def _format(self, properties: Path) -> None:
        tool = str(self._home / "bin" / "kafka-storage.sh")
        self._run([tool, "format", "-t", self._cluster_id, "-c", str(properties)])

    def _properties(self, controller_port: int) -> str:
        size = len(self._controllers)
        controller = self._controllers[self._number - 1]
        voters = [f"{n}@127.0.0.1:{port}" for n, port in enumerate(self._controllers, 1)]
        replicated = "".join(
            f"{name}={min(size, most)}\n"
            for name, most in (
                ("offsets.topic.replication.factor", 3),
                ("default.replication.factor", 3),
                ("min.insync.replicas", 2),
                ("transaction.state.log.replication.factor", 3),
                ("transaction.state.log.min.isr", 2),
                ("share.coordinator.state.topic.replication.factor", 3),
                ("share.coordinator.state.topic.min.isr", 2),
            )
        )
        # Of a name that comes twice Kafka takes the last.
        return super()._properties(controller_port) + (
            f"node.id={self._number}\ncontroller.quorum.voters={','.join(voters)}\n"
            f"listeners=PLAINTEXT://{self.bootstrap_servers},PROXIED://127.0.0.1:{self._behind},"
            f"CONTROLLER://127.0.0.1:{controller}\n"
            f"advertised.listeners=PLAINTEXT://{self.bootstrap_servers},"
            f"PROXIED://127.0.0.1:{self.proxy.port}\n"
            "inter.broker.listener.name=PLAINTEXT\n"
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,"
            "CONTROLLER:PLAINTEXT\n"
            "broker.session.timeout.ms=6000\n" + replicated
        )


class Cluster:
    """
    Some nodes, all started, none left behind. A context manager.

    Args:
        size: One or three.

    Raises:
        ConfigurationError: There is no Kafka in KAFKA_HOME.
    """

    def __init__(self, size: int) -> None:
        self._stack = contextlib.ExitStack()
        self._size = size
        self.nodes: list[Node] = []

    def __enter__(self) -> Self:
        cluster_id = new_cluster_id()
        try:
            controllers = [self._stack.enter_context(reserved_port()) for _ in range(self._size)]
            for number in range(1, self._size + 1):
                node = Node(KAFKA_HOME, number, controllers, cluster_id)
                self.nodes.append(self._stack.enter_context(node))
            for node in self.nodes:
                node.await_answer()
            eventually(self.whole, "every node has joined", 60)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes:
            node.kill()  # an orderly end would wait for a quorum that is ending too
        self._stack.close()

    @property
    def size(self) -> int:
        """How many nodes, and copies of every partition."""
        return self._size

    @property
    def kafka(self) -> KafkaSettings:
        """How to reach it."""
        return _settings([node.bootstrap_servers for node in self.nodes])

    @property
    def behind_proxies(self) -> KafkaSettings:
        """How to reach it through the proxies only."""
        return _settings([f"127.0.0.1:{node.proxy.port}" for node in self.nodes])

    def whole(self) -> bool:
        """Whether every node answers and every copy is in sync: another one may be killed."""
        try:
            for node in self.nodes:
                probe(_settings([node.bootstrap_servers]), timeout_seconds=4)
            with admin_client(self.kafka) as admin:
                brokers = admin.describe_cluster()["brokers"]
                topics = admin.describe_topics()
        except RoomstreamError:
            return False
        partitions = [partition for topic in topics for partition in topic["partitions"]]
        return len(brokers) == self._size and all(
            len(each["isr_nodes"]) == len(each["replica_nodes"]) for each in partitions
        )


def _settings(servers: Sequence[str]) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=",".join(servers))
