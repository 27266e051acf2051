"""Whether a worker still gets what waits for it: its client would not say that it no longer fetches."""

import threading
import time
from collections.abc import Mapping
from contextlib import closing

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    RequestTimedOutError,
)

from runtime.kafka import kafka_arguments
from runtime.settings import KafkaSettings
from schemas.errors import TryAgain

_EVERY_SECONDS = 5.0
_REQUEST_MS = 5_000
_OUT_OF_REACH = (KafkaConnectionError, KafkaTimeoutError, RequestTimedOutError)


class Progress:
    """
    Compares where a consumer stands with where its partitions end.

    The leaders are asked from a thread and by a client of their own: a consumer that no longer fetches
    knows only an old end, and one that is cut off from them alone has brokers in reach all the same.

    Args:
        kafka: How to reach Kafka.
        topic: Its name on the broker.
        limit_seconds: After so long without progress `check` gives up.
    """

    def __init__(self, kafka: KafkaSettings, topic: str, limit_seconds: float) -> None:
        self._kafka = kafka
        self._topic = topic
        self._limit_seconds = limit_seconds
        self._positions: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._fault = ""
        self._since = time.monotonic()
        self._closed = threading.Event()
        threading.Thread(target=self._watch, name="progress", daemon=True).start()

    def check(self, positions: Mapping[int, int], paused: bool = False) -> None:
        """
        Find whether the consumer gets on, has all there is, or is not to take more.

        Args:
            positions: What it takes next from each partition that it has; 0 where it does not know.
            paused: Whether it takes nothing on purpose.

        Raises:
            TryAgain: None of it is so, and was not for too long.
        """
        waiting = sum(max(0, self._ends.get(p, 0) - next_) for p, next_ in positions.items())
        why = f"{waiting:,} listings wait" if waiting else self._fault
        if paused or not why or positions != self._positions:
            self._positions, self._since = dict(positions), time.monotonic()
        elif time.monotonic() - self._since > self._limit_seconds:
            raise TryAgain(
                f"No listing of {self._topic} has come for {self._limit_seconds:g} s, though {why}. The "
                "process ends so that it starts with new connections. Check that this machine reaches "
                "every broker."
            )

    def ends(self) -> dict[int, int]:
        """Where the partitions ended when their leaders were last asked: some seconds ago."""
        return self._ends

    def close(self) -> None:
        """Ask no more."""
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.wait(min(_EVERY_SECONDS, self._limit_seconds / 4)):
            wanted = {TopicPartition(self._topic, p): OffsetSpec.LATEST for p in self._positions}
            if not wanted:
                continue
            try:
                with closing(self._client()) as client:
                    found = client.list_partition_offsets(wanted, "read_committed")
            except KafkaError as error:
                away = isinstance(error, _OUT_OF_REACH)
                self._fault = f"their leaders cannot be asked for more: {error!r}" if away else ""
            else:
                self._ends = {place.partition: end.offset for place, end in found.items()}
                self._fault = ""

    def _client(self) -> KafkaAdminClient:
        return KafkaAdminClient(
            **kafka_arguments(self._kafka),
            request_timeout_ms=_REQUEST_MS,
            bootstrap_timeout_ms=_REQUEST_MS,
        )
