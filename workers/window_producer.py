"""A producer that sends a window at once."""

from collections.abc import Sequence
from typing import Any

from kafka import KafkaProducer
from kafka.partitioner.default import murmur2
from kafka.structs import TopicPartition

from runtime.records import Outbound


class WindowProducer(KafkaProducer):  # type: ignore[misc] # kafka-python ships no types
    """
    kafka-python's transactional producer, and a way to send many messages.

    `KafkaProducer.send` looks up and locks for every message what is the same for all of a partition:
    half of what delivery costs. Here that is done once for a window. It stands on parts of kafka-python
    that are not public, hence the upper bound of its version in pyproject.toml.
    """

    def send_all(self, messages: Sequence[Outbound]) -> list[Any]:
        """
        Send messages as `send` does, to the partitions that Java's default partitioner chooses.

        Returns:
            Their futures, in order.

        Raises:
            KafkaError: A topic is not there, or the transaction has failed.
        """
        window = _Places(self)
        return [
            self._append(window.of(message.topic, message.key), message)
            if message.key is not None
            else self.send(message.topic, value=message.value, headers=list(message.headers))
            for message in messages
        ]

    def join(self, place: TopicPartition) -> None:
        """Make a partition part of the transaction."""
        self._transaction_manager.maybe_add_partition_to_transaction(place)

    def _append(self, place: TopicPartition, message: Outbound) -> Any:
        future, is_full, is_new, _ = self._accumulator.append(
            place, None, message.key, message.value, list(message.headers)
        )
        if is_full or is_new:
            self._sender.wakeup()
        return future


class _Places:
    """The partitions that a window goes to, each looked up and joined once."""

    def __init__(self, producer: WindowProducer) -> None:
        self._producer = producer
        self._counts: dict[str, int] = {}
        self._joined: dict[tuple[str, int], TopicPartition] = {}

    def of(self, topic: str, key: bytes) -> TopicPartition:
        count = self._counts.get(topic)
        if count is None:
            count = self._counts[topic] = len(self._producer.partitions_for(topic))
        number = (murmur2(key) & 0x7FFFFFFF) % count
        place = self._joined.get((topic, number))
        if place is None:
            place = self._joined[topic, number] = TopicPartition(topic, number)
            self._producer.join(place)
        return place
