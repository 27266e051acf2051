"""
Exactly-once delivery: a window's results and offsets are one Kafka transaction (KIP-98, KIP-447).

A reader with `isolation.level=read_committed` sees every answer once, whatever is killed. A failed
transaction ends the session: kafka-python would commit the offsets of an aborted transaction with the
next one, so both clients are closed, and new ones begin at what is committed.

Transactional id and group instance id are those of the slot: a worker that starts again takes over from
its dead self at once, and fences it if it is not dead.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import structlog
from kafka import KafkaConsumer
from kafka.errors import (
    FencedInstanceIdError,
    InvalidProducerEpochError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    ProducerFencedError,
)
from kafka.structs import OffsetAndMetadata, TopicPartition

from runtime.broker_watch import BrokerWatch
from runtime.dead_letters import fitting
from runtime.denials import denied_code, require_visible
from runtime.health import Health
from runtime.kafka import (
    DELIVERY_SECONDS,
    FETCH_WAIT_MS,
    MAX_REQUEST_BYTES,
    TRANSACTION_SECONDS,
    close_producer,
    kafka_arguments,
    require_transactions,
)
from runtime.records import Outbound, Record, polled
from runtime.retrying import BackOff, retry
from runtime.settings import KafkaSettings
from runtime.watchdog import Watchdog
from schemas.errors import TryAgain
from schemas.topics import Topic
from workers.breaker import Breaker
from workers.metrics import WorkerMetrics
from workers.outcomes import Answer
from workers.progress import Progress
from workers.settings import WorkerSettings
from workers.window import WindowSize
from workers.window_producer import WindowProducer

_log = structlog.get_logger(__name__)

_POLL_SECONDS = 0.2
_CLOSE_SECONDS = 2
# Most windows fit: each send after a full batch would wake the sender's thread. Not over the limit of any
# topic that takes our messages, since kafka-python loses track of a batch that it has to split.
_BATCH_BYTES = 64 * 1024
_FENCED = (ProducerFencedError, InvalidProducerEpochError, FencedInstanceIdError)
_SESSIONS_LOST = 5
_EVERYTHING = 2**31


class Fenced(TryAgain):
    """Another process has taken this worker's slot."""


class _Refused(KafkaError):  # type: ignore[misc] # kafka-python ships no types
    """The brokers refuse a message as too large: the smallest of them takes at most `most_bytes`."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(f"A message of {most_bytes} bytes is too large for its topic.")
        self.most_bytes = most_bytes


@dataclass
class TransactionalDelivery:
    """
    Moves windows from `listings` through a pipeline to its outputs, each in one transaction.

    Attributes:
        kafka: How to reach Kafka; it must have transactions.
        prefix: What the names of topics begin with.
        settings: Group, slot, session and window.
        answer: Turns a window of records into outcomes.
        metrics: Where windows are counted.
        health: Its condition `partitions` is met once some are assigned and brokers are in reach.
        watchdog: Ends the process if a client hangs: a transaction waits without a limit when its
            coordinator dies.
        live: Names the release that answers now; raises where releases can no longer be followed.
    """

    kafka: KafkaSettings
    prefix: str
    settings: WorkerSettings
    answer: Answer
    metrics: WorkerMetrics
    health: Health
    watchdog: Watchdog
    live: Callable[[], str] = str

    def run(self, stop: threading.Event) -> None:
        """
        Deliver until `stop` is set; the window in flight is finished first.

        Raises:
            ConfigurationError: The brokers have no transactions.
            Fenced: Another process runs in this worker's slot.
            Stopped: It was told to stop before it had begun.
            TryAgain: Session after session is lost, or the brokers stay out of reach.
        """
        limit = self.settings.watchdog_seconds
        purpose, instead = "exactly-once delivery", "WORKER_DELIVERY=at-least-once"
        retry(lambda: require_transactions(self.kafka, purpose, instead), stop, limit)
        self._size = WindowSize(self.settings.latency_budget_seconds, self.settings.max_window)
        self._breaker = Breaker(self.settings, self.live, self.metrics, self.health)
        self._events = self._lost = 0
        self._below_bytes = MAX_REQUEST_BYTES
        back_off = BackOff()
        topic = Topic.LISTINGS.named(self.prefix)
        with (
            closing(BrokerWatch(self.kafka, limit)) as self._brokers,
            closing(Progress(self.kafka, topic, limit)) as self._progress,
        ):
            while not stop.is_set():
                try:
                    self._serve(stop)
                except KafkaError as error:
                    if denied_code(error):
                        raise
                    if _is_fenced(error):
                        raise self._fenced(error) from error
                    self._lose(error)
                    stop.wait(back_off.wait_seconds(self._lost))
        self.health.set("partitions", False, "draining")
        _log.info("drained", events=self._events)

    def _serve(self, stop: threading.Event) -> None:
        """Deliver window after window in one session."""
        with self.watchdog:
            session = _Session(self.kafka, self.prefix, self.settings)
        try:
            with self.watchdog:
                session.learn_partitions()
            while not stop.is_set():
                self._brokers.check()
                self.live()  # also while no listing comes: it may fail
                with self.watchdog:
                    self._step(session)
                    self._observe(session)
        finally:
            with self.watchdog:
                session.close()

    def _step(self, session: "_Session") -> None:
        if self._breaker.waits():
            session.rest()
            return
        records, membership = session.poll(self._breaker.most(self._size.events))
        if not records:
            return
        started = time.perf_counter()
        window = self.answer(records)
        if not self._breaker.admits(window):
            session.put_back(records)
            return
        answered = time.perf_counter()
        messages = [
            fitting(message, self._below_bytes)
            for outcome in window.outcomes
            for message in outcome.messages
        ]
        try:
            session.deliver(messages, records, membership)
        except _Refused as refused:
            self._below_bytes = refused.most_bytes
            raise  # the window comes again, and what is as large is cut
        window.stage_seconds["deliver"] = time.perf_counter() - answered
        waiting = sum(session.lags(self._progress.ends()).values())
        self._size.measured(len(records), time.perf_counter() - started, waiting)
        self._events += len(records)
        self._lost = 0
        self.metrics.count(window, self._size.events)

    def _observe(self, session: "_Session") -> None:
        self._progress.check(session.positions(), self._breaker.is_open)
        lags, fault = session.lags(self._progress.ends()), self._brokers.fault
        self.metrics.show_lags(lags)
        why = f"{len(lags)} assigned" if lags else "none assigned yet"
        self.health.set("partitions", bool(lags) and not fault, fault or why)

    def _lose(self, error: KafkaError) -> None:
        self._lost += 1
        self.health.set("partitions", False, f"beginning a new session: {error}")
        self.metrics.show_lags({})
        if self._lost >= _SESSIONS_LOST:
            raise TryAgain(
                f"{self._lost} sessions in a row ended without a window: {error!r}. Nothing of them "
                "was committed. Check the brokers, and start the worker again."
            ) from error
        _log.warning("transaction failed: beginning a new session", why=repr(error))

    def _fenced(self, error: Exception) -> Fenced:
        return Fenced(
            f"Fenced: another worker runs in slot {self.settings.slot!r} of group "
            f"{self.settings.consumer_group(self.prefix)}, or this one or its brokers took longer than "
            f"{TRANSACTION_SECONDS} s for a transaction ({error!r}). Nothing of its last window was "
            "committed. Give every worker a slot of its own (WORKER_SLOT)."
        )


class _Session:
    """A consumer and a transactional producer, from the last commit to the first failure."""

    def __init__(self, kafka: KafkaSettings, prefix: str, settings: WorkerSettings) -> None:
        group = settings.consumer_group(prefix)
        self._positions_of: tuple[str, int] = "", -1  # member and generation
        self._topic = Topic.LISTINGS.named(prefix)
        identity = f"{group}-{settings.slot}"
        self._producer = WindowProducer(
            **kafka_arguments(kafka),
            acks="all",
            transactional_id=identity,
            transaction_timeout_ms=TRANSACTION_SECONDS * 1000,
            max_block_ms=DELIVERY_SECONDS * 1000,
            max_request_size=MAX_REQUEST_BYTES,
            batch_size=_BATCH_BYTES,
            metrics_enabled=False,
        )
        try:
            # First: it ends what a dead self has left open, and with it the wait for its offsets.
            self._producer.init_transactions()
            self._consumer = KafkaConsumer(
                self._topic,
                **kafka_arguments(kafka),
                group_id=group,
                group_instance_id=identity,
                enable_auto_commit=False,
                isolation_level="read_committed",
                auto_offset_reset="earliest",
                allow_auto_create_topics=False,
                max_poll_interval_ms=int(settings.poll_interval_seconds * 1000),
                session_timeout_ms=int(settings.session_timeout_seconds * 1000),
                heartbeat_interval_ms=int(settings.session_timeout_seconds * 250),
                fetch_max_wait_ms=FETCH_WAIT_MS,
                metrics_enabled=False,
            )
        except BaseException:
            close_producer(self._producer)
            raise

    def learn_partitions(self) -> None:
        """
        Ask for the partitions of `listings`, before the first poll joins the group.

        A leader that does not know them assigns none, and kafka-python may then neither join again nor
        send heartbeats once it learns of them.
        """
        self._consumer.partitions_for_topic(self._topic)

    def poll(self, most: int) -> tuple[list[Record], Any]:
        """
        Take what has arrived.

        Returns:
            The records, and the membership that they were taken under. It must be that of this very
            moment: after an eviction the broker would not fence it.

        Raises:
            KafkaError: It cannot be learned where to go on after a rebalance.
        """
        self._consumer.resume(*self._consumer.paused())
        records = self._polled(most)
        membership = self._consumer.group_metadata()
        if self._positions_of != (membership.member_id, membership.generation_id):
            self._go_on_from_committed(membership)
            return [], membership
        return records, membership

    def _go_on_from_committed(self, membership: Any) -> None:
        """
        Forget every position that is older than this membership.

        kafka-python keeps the positions of partitions that it has before and after a rebalance. If it
        was evicted in between, others have answered from there since.
        """
        if membership.generation_id < 0:
            return
        for place in self._consumer.assignment():
            offset = self._committed(place)
            if offset is None:
                self._consumer.seek_to_beginning(place)
            else:
                self._consumer.seek(place, offset)
        self._positions_of = membership.member_id, membership.generation_id

    def _committed(self, place: TopicPartition) -> int | None:
        try:
            committed: int | None = self._consumer.committed(
                place, timeout_ms=DELIVERY_SECONDS * 1000
            )
        except KafkaTimeoutError as error:
            raise KafkaTimeoutError(
                f"The brokers have not told within {DELIVERY_SECONDS} s where to go on in partition "
                f"{place.partition}: the group's coordinator is away, or a transaction that began there "
                "has not ended. If it stays so, kafka-transactions.sh find-hanging names it"
            ) from error
        return committed

    def rest(self) -> None:
        """Take nothing, but remain in the group: poll with every partition paused."""
        if self._consumer.assignment() - self._consumer.paused():
            # What kafka-python has unpacked of a partition that is then paused, it may never give out
            # again: nothing may be left of it.
            self.put_back(self._polled(_EVERYTHING, seconds=0))
            self._consumer.pause(*self._consumer.assignment())
        # A rebalance brings partitions that are not paused.
        self.put_back(self._polled(_EVERYTHING))

    def put_back(self, records: Sequence[Record]) -> None:
        """
        Let records that were polled and not delivered come again.

        Do so before the next poll: after a rebalance, others may have answered them.
        """
        first = {
            TopicPartition(record.topic, record.partition): record.offset
            for record in reversed(records)
        }
        for place in first.keys() & self._consumer.assignment():
            self._consumer.seek(place, first[place])

    def _polled(self, most: int, seconds: float = _POLL_SECONDS) -> list[Record]:
        require_visible(self._consumer)
        return polled(self._consumer.poll(timeout_ms=int(seconds * 1000), max_records=most))

    def deliver(
        self, messages: Sequence[Outbound], records: Sequence[Record], membership: Any
    ) -> None:
        """
        Commit messages and the offsets of their inputs together.

        Raises:
            _Refused: The brokers refuse a message as too large; nothing was committed.
            KafkaError: Nothing was committed, or it is not known: this session must end.
        """
        producer = self._producer
        producer.begin_transaction()
        sent = producer.send_all(messages)
        producer.flush(timeout=DELIVERY_SECONDS)
        failed = [
            (message, confirmation.exception)
            for message, confirmation in zip(messages, sent, strict=True)
            if not confirmation.succeeded()
        ]
        refused = [
            message.most_bytes
            for message, error in failed
            if isinstance(error, MessageSizeTooLargeError)
        ]
        if refused:
            raise _Refused(min(refused))
        for _, error in failed:
            raise error or KafkaTimeoutError("The brokers did not confirm a message.")
        producer.send_offsets_to_transaction(_following(records), membership)
        producer.commit_transaction()

    def positions(self) -> dict[int, int]:
        """What is taken next from each assigned partition; 0 of one that was not fetched from yet."""
        return {
            place.partition: self._consumer.position(place)
            if self._consumer.highwater(place)
            else 0
            for place in self._consumer.assignment()
        }

    def lags(self, ends: Mapping[int, int]) -> dict[int, int]:
        """
        How many records of each assigned partition are not answered.

        Args:
            ends: Where partitions end, as far as others know: what was fetched ahead tells an old end.
        """
        lags = {}
        for place in self._consumer.assignment():
            fetched = self._consumer.highwater(place)
            end = max(fetched or 0, ends.get(place.partition, 0))
            lags[place.partition] = max(0, end - self._consumer.position(place)) if fetched else 0
        return lags

    def close(self) -> None:
        """Leave; what is not committed is aborted by the next session of this slot."""
        try:
            close_producer(self._producer)
        finally:
            self._consumer.close(autocommit=False, timeout_ms=_CLOSE_SECONDS * 1000)


def _is_fenced(error: KafkaError) -> bool:
    """Whether a client was fenced; what kafka-python raises after the first time only names it."""
    return any(isinstance(each, _FENCED) for each in (error, *error.args))


def _following(records: Sequence[Record]) -> dict[TopicPartition, OffsetAndMetadata]:
    """The next offset of each partition after some records, which are in order."""
    last = {(record.topic, record.partition): record.offset for record in records}
    return {
        TopicPartition(*place): OffsetAndMetadata(offset + 1, "", -1)
        for place, offset in last.items()
    }
