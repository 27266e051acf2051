"""
Header names that are not UTF-8, read as text all the same.

Kafka keeps any bytes there, such as librdkafka sends; both client libraries insist on UTF-8, and fail at
that message for as long as it is retained.
"""

from typing import Any

from kafka.record import memory_records


class _Lenient(bytearray):
    r"""Bytes of which every slice can be decoded: what is not UTF-8 becomes text such as `\xff`."""

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return _Lenient(found) if isinstance(place, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)


class AnyHeaderName:
    """What a library's class for a batch of messages must inherit before its own to read them all."""

    _buffer: Any

    def _read_msg(self) -> Any:
        read: Any = super()
        try:
            return read._read_msg()
        except UnicodeDecodeError:
            self._buffer = _Lenient(self._buffer)  # for the rest of the batch
            return read._read_msg()


class _Batch(AnyHeaderName, memory_records.DefaultRecordBatch):  # type: ignore[misc] # without types
    pass


memory_records.DefaultRecordBatch = _Batch
"""All consumers of kafka-python in this process read so."""
