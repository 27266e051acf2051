"""A producer is closed for sure, whatever the brokers do."""

import os
import signal
import time

from kafka import KafkaProducer
from kafka.errors import KafkaError

from roomstream.brokers import EmbeddedBroker
from runtime.kafka import close_producer, kafka_arguments
from runtime.settings import KafkaSettings, load
from runtime.topics import create_topics


def test_what_is_not_confirmed_is_given_up() -> None:
    """Its thread ends at once; the message cannot arrive behind a newer one when the broker is back."""
    with EmbeddedBroker() as broker:
        kafka = load(KafkaSettings, bootstrap_servers=broker.bootstrap_servers)
        create_topics(kafka, "", partitions=1, replication_factor=1)
        producer = KafkaProducer(**kafka_arguments(kafka))
        producer.send("releases", b"confirmed").get(10)
        os.kill(broker.pid, signal.SIGKILL)
        late = producer.send("releases", b"late")
        started = time.monotonic()
        close_producer(producer)

    assert time.monotonic() - started < 5
    assert isinstance(late.exception, KafkaError)
    assert not producer._sender.is_alive()
