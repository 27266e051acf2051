"""What brokers and groups take, by measuring them alone: the simulation's costs that no worker shows."""

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing

import msgspec
import numpy as np
import psutil
from kafka import KafkaConsumer
from kafka.admin import NewTopic

from runtime.kafka import MAX_REQUEST_BYTES, admin_client, kafka_arguments
from runtime.records import Outbound
from runtime.settings import KafkaSettings
from schemas.errors import ConfigurationError, TryAgain
from workers.window_producer import WindowProducer

GROUPS = (2, 8, 24)
_PARTITIONS = 64
_TRANSACTIONS = 40
_PATIENCE_SECONDS = 60


class BrokerCosts(msgspec.Struct, frozen=True):
    """
    Processor time of the brokers.

    Attributes:
        message_seconds: To take a message in, in a transaction, and to give it to a reader.
        commit_seconds: For a partition that a transaction touches.
    """

    message_seconds: float
    commit_seconds: float


class GroupCosts(msgspec.Struct, frozen=True):
    """
    How long a group takes to meet.

    Attributes:
        join_seconds: Of a group of none.
        member_seconds: What each member adds.
    """

    join_seconds: float
    member_seconds: float


def broker_process(servers: str) -> psutil.Process:
    """
    The process that listens at an address of this machine.

    Raises:
        ConfigurationError: None does.
    """
    port = int(servers.split(",")[0].rpartition(":")[2])
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and tuple(connection.laddr)[1] == port:
            return psutil.Process(connection.pid)
    raise ConfigurationError(
        f"No process here listens at {servers}: what brokers take can only be measured on this machine."
    )


def broker_costs(kafka: KafkaSettings) -> BrokerCosts:
    """
    Let brokers take and give messages, and nothing else.

    The same messages go to one partition and to many, in as many transactions: the rest is alike.
    """
    topic = f"bench-{uuid.uuid4().hex[:8]}"
    with admin_client(kafka) as admin:
        admin.create_topics([NewTopic(topic, _PARTITIONS, 1)])
    broker = broker_process(kafka.bootstrap_servers)
    with closing(
        WindowProducer(
            **kafka_arguments(kafka),
            acks="all",
            transactional_id=topic,
            max_request_size=MAX_REQUEST_BYTES,
            metrics_enabled=False,
        )
    ) as producer:
        producer.init_transactions()
        many = [
            Outbound(topic, f"{key}".encode(), b"x" * 500, ()) for key in range(_PARTITIONS * 4)
        ]
        one = [message._replace(key=b"0") for message in many]
        for messages in (one, many):
            _transactions(producer, messages)
        spent = []
        for messages in (one, many):
            before = _processor_seconds(broker)
            _transactions(producer, messages)
            spent.append(_processor_seconds(broker) - before)
    sent = _TRANSACTIONS * len(one)
    before = _processor_seconds(broker)
    _read(kafka, topic, 4 * sent)
    read = (_processor_seconds(broker) - before) / (4 * sent)
    return BrokerCosts(
        spent[0] / sent + read,
        max(0.0, spent[1] - spent[0]) / (_TRANSACTIONS * (_PARTITIONS - 1)),
    )


def _transactions(producer: WindowProducer, messages: Sequence[Outbound]) -> None:
    for _ in range(_TRANSACTIONS):
        producer.begin_transaction()
        producer.send_all(messages)
        producer.flush()
        producer.commit_transaction()


def _read(kafka: KafkaSettings, topic: str, count: int) -> None:
    consumer = KafkaConsumer(
        topic,
        **kafka_arguments(kafka),
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        metrics_enabled=False,
    )
    with closing(consumer):
        until = time.monotonic() + _PATIENCE_SECONDS
        while count > 0:
            if time.monotonic() > until:
                raise TryAgain(f"{count} messages did not come within {_PATIENCE_SECONDS} s.")
            count -= sum(map(len, consumer.poll(timeout_ms=500).values()))


def _processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def group_costs(kafka: KafkaSettings) -> GroupCosts:
    """How long groups of several sizes take from a newcomer's first poll until all have met again."""
    seconds = [_meeting_seconds(kafka, members) for members in GROUPS]
    slope, intercept = np.polyfit(GROUPS, seconds, 1)
    return GroupCosts(max(0.0, float(intercept)), max(0.0, float(slope)))


def _meeting_seconds(kafka: KafkaSettings, members: int) -> float:
    topic = f"bench-{uuid.uuid4().hex[:8]}"
    with admin_client(kafka) as admin:
        admin.create_topics([NewTopic(topic, members, 1)])
    with ExitStack() as stack:
        group = [_Member(kafka, topic) for _ in range(members)]
        for member in group:
            stack.callback(member.close)
        for member in group[:-1]:
            member.begin()
        _wait(lambda: sum(member.partitions for member in group[:-1]) == members)
        started = time.monotonic()
        group[-1].begin()
        _wait(lambda: all(member.partitions == 1 for member in group))
        return time.monotonic() - started


class _Member:
    """A consumer that polls as a worker does, in a thread of its own."""

    def __init__(self, kafka: KafkaSettings, topic: str) -> None:
        self._consumer = KafkaConsumer(
            topic, **kafka_arguments(kafka), group_id=topic, enable_auto_commit=False,
            metrics_enabled=False,
        )  # fmt: skip
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll)
        self.partitions = 0

    def begin(self) -> None:
        """Join."""
        self._thread.start()

    def close(self) -> None:
        """Leave."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._consumer.close(autocommit=False)

    def _poll(self) -> None:
        while not self._stop.is_set():
            self._consumer.poll(timeout_ms=100)
            self.partitions = len(self._consumer.assignment())


def _wait(done: Callable[[], bool]) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while not done():
        if time.monotonic() > until:
            raise TryAgain(f"A group did not meet within {_PATIENCE_SECONDS} s.")
        time.sleep(0.01)
