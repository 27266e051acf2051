"""Messages that the trainer cannot handle, on their way to the dead-letter topic."""

from collections.abc import Sequence
from typing import Any

import structlog
from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError

from runtime.dead_letters import fitting, shortened
from runtime.kafka import MAX_REQUEST_BYTES, close_producer, kafka_arguments
from runtime.records import Outbound
from runtime.settings import KafkaSettings
from schemas.errors import TryAgain

_log = structlog.get_logger(__name__)

_DELIVERY_SECONDS = 30


class DeadLetters:
    """
    Sends dead letters, each confirmed by the broker.

    Args:
        kafka: How to reach Kafka.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._producer: KafkaProducer | None = None

    def deliver(self, letters: Sequence[Outbound]) -> None:
        """
        Send letters and wait until the brokers hold them.

        Raises:
            TryAgain: They do not.
        """
        if not letters:
            return
        try:
            sent = [(letter, self._begin(fitting(letter))) for letter in letters]
            for letter, confirmation in sent:
                try:
                    confirmation.get(timeout=_DELIVERY_SECONDS)
                except MessageSizeTooLargeError:
                    _log.warning("too large for the topic: cut short", topic=letter.topic)
                    self._begin(shortened(letter)).get(timeout=_DELIVERY_SECONDS)
        except KafkaError as error:
            raise TryAgain(
                f"Dead letters could not be delivered: {error}. Nothing of this batch was learned; it "
                "comes again."
            ) from error

    def _begin(self, letter: Outbound) -> Any:
        if self._producer is None:
            self._producer = KafkaProducer(
                **kafka_arguments(self._kafka),
                acks="all",
                enable_idempotence=False,  # an idempotent one is dead after one refusal
                max_request_size=MAX_REQUEST_BYTES,
            )
        return self._producer.send(
            letter.topic, key=letter.key, value=letter.value, headers=list(letter.headers)
        )

    def close(self) -> None:
        """Leave."""
        if self._producer is not None:
            close_producer(self._producer)
