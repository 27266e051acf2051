"""Faust's Kafka consumer, made to read committed messages only."""

from typing import Any

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer


class _Thread(AIOKafkaConsumerThread):  # type: ignore[misc]
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # Faust has it only for its own transactions
        return consumer


class CommittedConsumer(Consumer):  # type: ignore[misc]
    """
    Passes over what was never committed, such as what an aborted replay of dead letters sent.

    The letter will be sent again: were both answered, one event would have two answers.
    """

    def _new_consumer_thread(self) -> Any:
        return _Thread(self, loop=self.loop, beacon=self.beacon)
