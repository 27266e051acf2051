"""
At-least-once delivery on Faust: no event is lost, a crash repeats at most one window.

Events are taken without acknowledgement, answered, and every output is confirmed by the broker;
only then are they acknowledged and committed. Faust's own `take()` acknowledges even what raised,
and an exception that leaves an agent stalls commits silently, so neither is relied on here.

When partitions are taken away, the window in flight is finished and committed first, and what was
taken but not begun is left to their next owner: a rebalance repeats nothing.
"""

import asyncio
import contextlib
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import faust
import structlog
from aiokafka.errors import MessageSizeTooLargeError

from runtime.broker_watch import BrokerWatch
from runtime.dead_letters import fitting, shortened
from runtime.health import Health
from runtime.kafka import MAX_REQUEST_BYTES, addresses, ssl_context
from runtime.records import Outbound, Record, valued
from runtime.settings import KafkaSettings
from runtime.watchdog import Watchdog
from schemas.errors import RoomstreamError, TryAgain
from schemas.topics import Topic
from workers.breaker import Breaker
from workers.faust_transport import WorkerConsumer
from workers.metrics import WorkerMetrics
from workers.outcomes import Answer
from workers.partitions import Partitions
from workers.progress import Progress
from workers.settings import WorkerSettings
from workers.window import WindowSize

_log = structlog.get_logger(__name__)

MOST_EVENTS = 256
"""More make Faust no faster, and its buffer counts events, not their bytes."""

_GATHER_SECONDS = 0.02
_STOP_SECONDS = 15
_FAILED_STOP_SECONDS = 3  # what failed is to be told soon
_TICK_SECONDS = 0.1
_OBSERVE_SECONDS = 1
_REQUEST_SECONDS = 90
# The session and our watchdog find what is dead. An open circuit holds events for hours, and Faust, whose
# buffer is full then, would leave the group after its own limit, or complain.
_FOREVER_SECONDS = 2_000_000


@dataclass
class FaustDelivery:
    """
    Moves windows from `listings` through a pipeline to its outputs.

    Attributes:
        kafka: How to reach Kafka.
        prefix: What the names of topics begin with.
        settings: Group, session and window.
        answer: Turns a window of records into outcomes; runs in a thread of its own.
        metrics: Where windows are counted.
        health: Its condition `partitions` is met once some are assigned and brokers are in reach.
        watchdog: Ends the process if the start or a window hangs.
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
        Deliver until `stop` is set, then finish the window in flight and leave the group.

        Raises:
            RoomstreamError: What ended it otherwise.
        """
        # Faust keeps nothing there, and would make a folder where the worker was started.
        with tempfile.TemporaryDirectory(prefix="roomstream-faust-") as self._folder:
            asyncio.run(self._run(stop))

    async def _run(self, stop: threading.Event) -> None:
        self._most = min(self.settings.max_window, MOST_EVENTS)
        self._size = WindowSize(self.settings.latency_budget_seconds, self._most)
        self._breaker = Breaker(self.settings, self.live, self.metrics, self.health)
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._in_flight = asyncio.Lock()
        self._draining = False
        self._events = 0
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="pipeline")
        limit = self.settings.watchdog_seconds
        self._brokers = BrokerWatch(self.kafka, limit)
        self._progress = Progress(self.kafka, Topic.LISTINGS.named(self.prefix), limit)
        self._app = self._make_app()
        self._partitions = Partitions(self._app, self.metrics, self.health)
        try:
            await self._start()
            await self._until_stopped(stop)
        finally:
            self._brokers.close()
            self._progress.close()
            await self._drain(failed=self._app.crashed or not stop.is_set())

    async def _start(self) -> None:
        try:
            with self.watchdog:
                starting = asyncio.ensure_future(self._app.start())
                while not (await asyncio.wait([starting], timeout=_TICK_SECONDS))[0]:
                    self._partitions.check()
                await starting
        except RoomstreamError:
            raise
        except Exception as error:
            raise TryAgain(
                f"Faust could not start at {self.kafka.bootstrap_servers}: {error!r}. Check that the "
                "brokers are up, and start the worker again."
            ) from error

    async def _until_stopped(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._brokers.check()
            self.live()  # also while no listing comes: it may fail
            await asyncio.wait([self._failed], timeout=_TICK_SECONDS)
            if self._failed.done():
                self._failed.result()
            if self._app.crashed:
                reason = self._app.crash_reason
                raise TryAgain(f"Faust ended: {reason!r}. Start the worker again.") from reason
            self._partitions.check()
            # Its buffer is full while a window is answered; one that hangs the watchdog finds.
            busy = self._in_flight.locked() or self._app.rebalancing or self._breaker.is_open
            self._progress.check(self._partitions.positions(), busy)
            if self._app.should_stop:
                raise TryAgain("Faust stopped by itself. Start the worker again.")
            with contextlib.suppress(TimeoutError):  # positions wait for brokers: we do not
                await asyncio.wait_for(
                    self._partitions.observe(self._brokers.fault, self._progress.ends()),
                    _OBSERVE_SECONDS,
                )

    async def _drain(self, failed: bool) -> None:
        started = time.perf_counter()
        self._draining = True
        self.health.set("partitions", False, "draining")
        # The window in flight is delivered and committed; after a failure that may never be, as when
        # Faust has crashed under it.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FAILED_STOP_SECONDS if failed else None), self._in_flight:
                pass
        stop_seconds = _FAILED_STOP_SECONDS if failed else _STOP_SECONDS
        try:
            await asyncio.wait_for(self._app.stop(), stop_seconds)
        except TimeoutError:
            _log.warning("Faust did not stop in time", seconds=stop_seconds)
        self._executor.shutdown()
        _log.info("drained", events=self._events, seconds=round(time.perf_counter() - started, 2))

    def _make_app(self) -> Any:
        app = faust.App(
            self.settings.consumer_group(self.prefix),
            broker=[f"kafka://{address}" for address in addresses(self.kafka)],
            broker_credentials=_credentials(self.kafka),
            broker_session_timeout=self.settings.session_timeout_seconds,
            broker_request_timeout=max(_REQUEST_SECONDS, self.settings.session_timeout_seconds),
            broker_max_poll_interval=_FOREVER_SECONDS,
            broker_commit_livelock_soft_timeout=_FOREVER_SECONDS,
            broker_heartbeat_interval=self.settings.session_timeout_seconds / 4,
            consumer_auto_offset_reset="earliest",
            consumer_max_fetch_size=MAX_REQUEST_BYTES,
            producer_acks=-1,
            producer_max_request_size=MAX_REQUEST_BYTES,
            stream_buffer_maxsize=self._most,
            stream_processing_timeout=_FOREVER_SECONDS,
            stream_wait_empty=False,
            store="memory://",
            datadir=self._folder,
            topic_disable_leader=True,
            topic_allow_declare=False,
            web_enabled=False,
        )
        topic = app.topic(
            Topic.LISTINGS.named(self.prefix),
            key_serializer="raw",
            value_serializer="raw",
            key_type=bytes,
            value_type=bytes,
        )
        app.agent(topic, name="classify")(self._classify)
        app.on_partitions_revoked.connect(self._release_partitions)
        app.finalize()
        transport: Any = app.transport
        transport.Consumer = WorkerConsumer
        return app

    async def _classify(self, stream: Any) -> None:
        """Take what has arrived; nothing may leave this but through `_failed`."""
        try:
            taken = stream.noack_take(self._most, within=_GATHER_SECONDS)
            async for events in taken:
                while events and not self._draining:
                    events = await self._still_ours(events)
                    most = self._breaker.most(self._size.events)
                    async with self._in_flight:
                        if await self._deliver(events[:most]):
                            events = events[most:]
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - becomes the exit code of the process
            if not self._failed.done():
                self._failed.set_exception(_translated(error))

    async def _still_ours(self, events: Sequence[Any]) -> Sequence[Any]:
        """
        Wait until events may be answered, and leave out what was taken before a rebalance.

        Its next owner starts at what is committed.
        """
        while (self._app.rebalancing or self._breaker.waits()) and not self._draining:
            await asyncio.sleep(_TICK_SECONDS)
        if self._draining:
            return []
        generation = self._app.consumer_generation_id
        return [event for event in events if event.message.generation_id == generation]

    async def _release_partitions(self, *_: Any, **__: Any) -> None:
        """Finish the window in flight while its partitions are still ours to commit."""
        async with self._in_flight:
            pass
        self._partitions.released()

    async def _deliver(self, events: Sequence[Any]) -> bool:
        """Answer and deliver; whether it was: an open circuit keeps them for later."""
        if not events:
            return True
        with self.watchdog:
            started = time.perf_counter()
            records = [_record(event) for event in events]
            loop = asyncio.get_running_loop()
            window = await loop.run_in_executor(self._executor, self.answer, records)
            if not self._breaker.admits(window):
                return False
            answered = time.perf_counter()
            await self._send(
                [message for outcome in window.outcomes for message in outcome.messages]
            )
            for event in events:
                event.ack()
            if not await self._app.consumer.commit():
                # Another commit was under way, perhaps without these events.
                await self._app.consumer.commit()
            window.stage_seconds["deliver"] = time.perf_counter() - answered
            seconds = time.perf_counter() - started
            self._size.measured(len(events), seconds, self._partitions.waiting)
        self._events += len(events)
        self._partitions.answered(records)
        self.metrics.count(window, self._size.events)
        return True

    async def _send(self, messages: Sequence[Outbound]) -> None:
        confirmations = await asyncio.gather(
            *[await self._begin(message) for message in messages], return_exceptions=True
        )
        for message, confirmation in zip(messages, confirmations, strict=True):
            if isinstance(confirmation, MessageSizeTooLargeError):
                await (await self._begin(shortened(message)))
                _log.warning("too large for the topic: cut short", topic=message.topic)
            elif isinstance(confirmation, BaseException):
                raise confirmation

    async def _begin(self, message: Outbound) -> Any:
        """Hand a message to the producer; what is returned is done once the brokers hold it."""
        message = fitting(message)
        return await self._app.producer.send(
            message.topic, message.key, message.value, None, None, list(message.headers)
        )


def _record(event: Any) -> Record:
    message = event.message
    headers = message.headers or ()
    pairs = headers.items() if isinstance(headers, dict) else headers
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        key=message.key,
        value=message.value,
        headers=valued(pairs),
        timestamp_ms=int((message.timestamp or 0) * 1000),
    )


def _credentials(settings: KafkaSettings) -> Any:
    protocol = settings.security_protocol
    context = ssl_context(settings) if protocol.endswith("SSL") else None
    if protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=settings.sasl_username,
            password=settings.password(),
            ssl_context=context,
            mechanism=settings.sasl_mechanism,
        )
    return faust.SSLCredentials(context) if context else None


def _translated(error: Exception) -> Exception:
    if isinstance(error, RoomstreamError):
        return error
    told = TryAgain(f"A window could not be delivered: {error!r}. Nothing of it was committed.")
    told.__cause__ = error
    return told
