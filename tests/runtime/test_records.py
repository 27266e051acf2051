"""Messages as the clients bring them."""

from kafka import TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from runtime.records import forwarded, polled


def test_a_header_without_a_value_reads_as_empty() -> None:
    """Kafka lets a header be null, and kafka-python reads it but refuses to send it on."""
    place = TopicPartition("listings", 2)
    headers = [("trace", None), ("", b""), ("trace", b"\xff"), ("dead-attempts", None)]
    came = ConsumerRecord("listings", 2, 0, 7, 99, 0, None, b"v", headers, None, -1, 1, 5)
    (record,) = polled({place: [came]})

    assert record.headers[:3] == (("trace", b""), ("", b""), ("trace", b"\xff"))
    assert forwarded(record.headers) == record.headers[:3]
    assert (record.partition, record.offset, record.timestamp_ms) == (2, 7, 99)
