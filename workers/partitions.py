"""The partitions that a worker on Faust has now: readiness and lag."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka.errors import IllegalStateError
from faust.types import TP

from runtime.health import Health
from runtime.records import Record
from schemas.errors import TryAgain
from workers.metrics import WorkerMetrics


class Partitions:
    """
    Follows what is assigned, and how much of it is not answered yet.

    Args:
        app: The Faust app.
        metrics: Shows the lag of every assigned partition.
        health: Its condition `partitions` is met once some are assigned and brokers are in reach.

    Attributes:
        waiting: Events that were not answered when it last looked.
    """

    def __init__(self, app: Any, metrics: WorkerMetrics, health: Health) -> None:
        self._app = app
        self._metrics = metrics
        self._health = health
        self._next: dict[TP, int] = {}  # the first offset that is not answered
        self.waiting = 0

    async def observe(self, fault: str, ends: Mapping[int, int]) -> None:
        """
        Look at what is assigned now.

        Args:
            fault: Why brokers are out of reach, if they are.
            ends: Where partitions end, as far as others know: what was fetched ahead tells an old end.
        """
        consumer = self._app.consumer
        assigned: set[TP] = set(consumer.assignment())
        why = f"{len(assigned)} assigned" if assigned else "none assigned yet"
        self._health.set("partitions", bool(assigned) and not fault, fault or why)
        if self._app.rebalancing:
            return
        self._next = {place: offset for place, offset in self._next.items() if place in assigned}
        lags = {}
        for place in assigned:
            # Partitions come and go in another thread: one that has just gone is not observed.
            with contextlib.suppress(AssertionError, IllegalStateError):
                if place not in self._next:
                    self._next[place] = await consumer.position(place)
                end = consumer.highwater(place)
                if end is not None:
                    end = max(end, ends.get(place.partition, 0))
                    lags[place.partition] = max(0, end - self._next[place])
        self._metrics.show_lags(lags)
        self.waiting = sum(lags.values())

    def check(self) -> None:
        """
        Find whether the group lets us in.

        aiokafka waits, with what keeps us out, for a question that Faust never asks.

        Raises:
            TryAgain: It does not.
        """
        coordinator = getattr(self._client, "_coordinator", None)
        if fault := getattr(coordinator, "_pending_exception", None):
            raise TryAgain(
                f"Kafka keeps this worker out of its group: {fault!r}. "
                "Workers of the other engine (WORKER_DELIVERY) must have left it first."
            ) from fault

    def positions(self) -> dict[int, int]:
        """What is taken next from each assigned partition; 0 of one that has no position yet."""
        subscription = getattr(getattr(self._client, "_subscription", None), "subscription", None)
        assignment = getattr(subscription, "assignment", None)
        if assignment is None:
            return {}
        states = {place.partition: assignment.state_value(place) for place in assignment.tps}
        return {
            partition: state.position if state.has_valid_position else 0
            for partition, state in states.items()
        }

    @property
    def _client(self) -> Any:
        """The client under Faust's consumer, once there is one. Its own ways wait in its thread."""
        return getattr(getattr(self._app.consumer, "_thread", None), "_consumer", None)

    def answered(self, records: Sequence[Record]) -> None:
        """Note a window that was delivered and committed."""
        for record in records:
            partition = TP(record.topic, record.partition)
            if partition in self._next:
                self._next[partition] = max(record.offset + 1, self._next[partition])

    def released(self) -> None:
        """Note that all partitions were given away; what comes next is looked up anew."""
        self._next.clear()
        self.waiting = 0
        self._metrics.show_lags({})
