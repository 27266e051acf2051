"""Faust's Kafka consumer, mended where topics have transactions, and header names of any bytes."""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.legacy_records import LegacyRecordBatch
from aiokafka.record.memory_records import _MemoryRecordsPy
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.types import TP

from runtime.header_names import AnyHeaderName


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


class _Batch(AnyHeaderName, _DefaultRecordBatchPy):  # type: ignore[misc] # aiokafka ships no types
    pass


class _LenientRecords(_MemoryRecordsPy):  # type: ignore[misc]
    def next_batch(self) -> Any:
        data = self._next_slice
        batch = super().next_batch()
        return batch if isinstance(batch, LegacyRecordBatch) else _Batch(data)


class _Records(fetcher.MemoryRecords):  # type: ignore[misc]
    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data


class _PartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """What was fetched of a partition; begun again in pure Python where the compiled parser fails."""

    _records: Any
    _aborted_transactions: Any
    _aborted_producers: Any

    def _unpack_records(self) -> Iterator[Any]:
        aborted = list(self._aborted_transactions)
        try:
            yield from super()._unpack_records()
        except UnicodeDecodeError:
            self._records = _LenientRecords(self._records.data)
            self._aborted_transactions, self._aborted_producers = aborted, set()
            following = self.next_fetch_offset
            yield from (x for x in super()._unpack_records() if x.offset >= following)


fetcher.MemoryRecords, fetcher.PartitionRecords = _Records, _PartitionRecords
