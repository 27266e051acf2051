"""Records as they come from kafka-python."""

from types import SimpleNamespace

from runtime.records import forwarded, polled


def test_a_header_without_a_value_is_empty() -> None:
    """Kafka allows null there, our producers do not: one such listing would stop every worker."""
    message = SimpleNamespace(
        topic="listings",
        partition=0,
        offset=1,
        key=None,
        value=b"v",
        headers=[("traceparent", None), ("dead-attempts", None)],
        timestamp=0,
    )
    (record,) = polled({"listings": [message]})

    assert record.headers == (("traceparent", b""), ("dead-attempts", b""))
    assert forwarded(record.headers) == (("traceparent", b""),)
