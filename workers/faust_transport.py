"""Faust's Kafka consumer, mended where topics have transactions."""

from typing import Any

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.types import TP


class _Thread(AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # Faust has it only for its own transactions
        return consumer


class WorkerConsumer(Consumer):
    """
    Reads committed messages only, and commits past the offsets between them.

    What an aborted transaction sent, such as a replay of dead letters that was killed, comes again: if
    both were answered, one event would have two answers.

    Transactions leave offsets without a message. Faust fills such gaps but counts the message behind
    each twice, and none after offset 0, so that commits fall behind or stop. Our windows acknowledge
    in order: all up to the last acknowledged one may be committed.
    """

    def _new_consumer_thread(self) -> Any:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    def _new_offset(self, tp: TP) -> int | None:
        acked = self._acked[tp]
        if not acked:
            return None
        following = max(acked) + 1
        acked.clear()
        self._acked_index[tp].clear()
        self._gap.pop(tp, None)
        return following
