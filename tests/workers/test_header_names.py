"""Header names that are not UTF-8, as both client libraries read them; the fuzz tests send some too."""

import struct
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.structs import TopicPartition
from kafka.record import MemoryRecords

import runtime.header_names
import workers.faust_transport
from tests.fuzzing import RawName

assert runtime.header_names
assert workers.faust_transport

NAMES = ["a", "ñ", RawName("\xff-\xc3"), "b"]
READ = ["a", "ñ", "\\xff-\\xc3", "b"]
ABORTED = 7


def batch(base: int, names: list[str], codec: int = 0, producer: int = -1) -> bytes:
    """A batch of messages at `base`, each with one header, as a broker keeps it."""
    builder = _DefaultRecordBatchBuilderPy(2, codec, producer >= 0, producer, 0, 0, 1 << 20)
    for number, name in enumerate(names):
        builder.append(number, 99, b"k", b"value", [(name, b"v"), ("last", None)])
    data = builder.build()
    struct.pack_into(">q", data, 0, base)
    return bytes(data)


def found(records: Any) -> list[tuple[int, str, bytes]]:
    """Offset, first header's name and value of the message, each of which must be whole."""
    assert all(record.headers[1] == ("last", None) for record in records)
    return [(record.offset, record.headers[0][0], record.value) for record in records]


@pytest.mark.parametrize("codec", [0, 1, 4], ids=["plain", "gzip", "zstd"])
def test_kafka_python_reads_them(codec: int) -> None:
    """Everything else of the batch is as it was."""
    (read,) = MemoryRecords(batch(5, NAMES, codec))

    assert found(list(read)) == [(5 + n, name, b"value") for n, name in enumerate(READ)]


@pytest.mark.parametrize("codec", [0, 1, 4], ids=["plain", "gzip", "zstd"])
def test_aiokafka_reads_them(codec: int) -> None:
    """Each message once, and still none of a transaction that was aborted."""
    data = batch(0, ["first"]) + batch(1, ["x"], producer=ABORTED) + batch(2, NAMES, codec)
    data += batch(6, [RawName("\x80")], producer=ABORTED) + batch(7, [RawName("\x80")])
    read = fetcher.PartitionRecords(
        TopicPartition("listings", 0),
        fetcher.MemoryRecords(data),
        [(ABORTED, 1)],
        0,
        None,
        None,
        True,
        READ_COMMITTED,
    )
    expected = list(enumerate(["first", "", *READ, "", "\\x80"]))

    assert found(list(read)) == [(offset, name, b"value") for offset, name in expected if name]
    assert read.next_fetch_offset == 8
