"""Whether the brokers can be reached, for a process that has nothing to do."""

import threading
import time

from runtime.kafka import probe
from runtime.settings import KafkaSettings
from schemas.errors import RoomstreamError, TryAgain

_EVERY_SECONDS = 5.0


class BrokerWatch:
    """
    Knocks at the brokers every few seconds from a thread of its own.

    The clients try again for ever without a word to their caller: without this, an idle process whose
    brokers are gone would look healthy.

    Args:
        kafka: How to reach Kafka.
        limit_seconds: After so long out of reach `check` gives up.
    """

    def __init__(self, kafka: KafkaSettings, limit_seconds: float) -> None:
        self._kafka = kafka
        self._limit_seconds = limit_seconds
        self._reached_at = time.monotonic()
        self._closed = threading.Event()
        self.fault = ""
        threading.Thread(target=self._watch, name="broker-watch", daemon=True).start()

    def check(self) -> None:
        """
        Find whether there is still hope.

        Raises:
            TryAgain: The brokers have been out of reach for too long.
        """
        if self.fault and time.monotonic() - self._reached_at > self._limit_seconds:
            raise TryAgain(f"For {self._limit_seconds:g} s and more: {self.fault}")

    def close(self) -> None:
        """Knock no more."""
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.wait(min(_EVERY_SECONDS, self._limit_seconds / 4)):
            try:
                probe(self._kafka)
            except RoomstreamError as error:
                self.fault = str(error)
            else:
                self._reached_at = time.monotonic()
                self.fault = ""
