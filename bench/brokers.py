"""The Kafka that benchmarks run on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roomstream.brokers import KafkaNode


@contextmanager
def kafka_node(servers: str | None) -> Iterator[str]:
    """The brokers that were given, or a Kafka of our own from KAFKA_HOME."""
    if servers:
        yield servers
        return
    home = os.environ.get("KAFKA_HOME", "../shared/kafka")
    with KafkaNode(Path(home)) as broker:
        yield broker.bootstrap_servers
