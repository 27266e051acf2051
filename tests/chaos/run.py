"""Plays a schedule of faults against a deployment while listings and labels keep coming."""

import heapq
import itertools
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from roomstream.broken_messages import BREAKAGES, broken_message
from roomstream.listings import Listing
from schemas.topics import Topic
from tests.chaos.clock import AHEAD, BEHIND
from tests.chaos.schedule import Fault, Kind
from tests.chaos.service import Service
from tests.chaos.stage import MOVABLE_CLOCK, SLOTS, Stage
from tests.kafka_io import message
from tests.releases import KABOOM
from tests.trainer.labels import labelled
from tests.workers.listings import AT, listings
from tests.workers.traffic import Batch, Traffic

_TICK_SECONDS = 0.05
_POISON_EVERY = 100

Say = Callable[[str], object]


@dataclass(frozen=True)
class Done:
    """A fault as it happened: when (seconds since 1970), to whom, and how many workers it met."""

    at: float
    kind: Kind
    victim: str
    workers: int


class Run:
    """
    One run.

    Args:
        stage: Who suffers.
        faults: The schedule.
        workers: How many run when nothing is scaled.
        rate: Listings a second.
        say: Told of every fault.

    Attributes:
        done: What has happened.
        traffic: What was sent.
    """

    def __init__(
        self,
        stage: Stage,
        faults: Sequence[Fault],
        workers: int = 2,
        rate: int = 100,
        say: Say = print,
    ) -> None:
        self._stage, self._workers, self._rate, self._say = stage, workers, rate, say
        self._order = itertools.count()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._faults = faults
        self.done: list[Done] = []
        self.traffic = Traffic(stage.kafka, stage.prefix, self._batch)
        self._doing: dict[Kind, Callable[[Fault], None]] = {
            Kind.KILL_WORKER: self._kill_worker,
            Kind.STOP_WORKER: self._stop_worker,
            Kind.TERM_WORKER: self._term_worker,
            Kind.KILL_TRAINER: self._kill_trainer,
            Kind.KILL_BROKER: self._kill_broker,
            Kind.CUT_BOTH: self._cut,
            Kind.CUT_REQUESTS: self._cut,
            Kind.CUT_ANSWERS: self._cut,
            Kind.SLOW: self._slow,
            Kind.CLOCK: self._clock,
            Kind.SCALE: self._scale,
        }

    def play(self) -> None:
        """Start everything, let traffic flow, do what is scheduled, undo what lasts."""
        self._scale_to(self._workers)
        self._stage.trainer.want()
        self._await_ready()
        with self.traffic.flowing():
            self._started = time.monotonic()
            for fault in self._faults:
                self._later(fault.at, partial(self._doing[fault.kind], fault))
            while self._agenda:
                self._tick()
        self._await_ready()

    def _tick(self) -> None:
        while self._agenda and self._agenda[0][0] <= time.monotonic() - self._started:
            heapq.heappop(self._agenda)[2]()
        for service in self._stage.services:
            service.tend()
        time.sleep(_TICK_SECONDS)

    def _await_ready(self, seconds: float = 120) -> None:
        """Wait until all that are wanted say that they are ready, as their documents promise."""
        deadline = time.monotonic() + seconds
        while late := [s for s in self._stage.services if s.wanted and not s.ready()]:
            if time.monotonic() > deadline:
                why = "; ".join(f"{service.name}: {service.page('readyz')[1]}" for service in late)
                raise AssertionError(f"not ready within {seconds:g} s: {why}")
            for service in self._stage.services:
                assert not service.strange, f"{service.name} ended with {service.strange}"
            for service in self._stage.services:
                service.tend()
            time.sleep(0.2)

    def _later(self, at: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (at, next(self._order), do))

    def _after(self, seconds: float, do: Callable[[], None]) -> None:
        self._later(time.monotonic() - self._started + seconds, do)

    def _note(self, fault: Fault, victim: str) -> None:
        workers = sum(worker.wanted for worker in self._stage.workers)
        self.done.append(Done(time.time(), fault.kind, victim, workers))
        self._say(f"{len(self.done):4}/{len(self._faults)}  {fault}  ->  {victim}")

    def _victim(self, fault: Fault) -> Service | None:
        there = [each for each in self._stage.workers if each.wanted and not each.paused]
        return there[fault.victim % len(there)] if there else None

    def _kill_worker(self, fault: Fault) -> None:
        if worker := self._victim(fault):
            worker.kill()
            self._note(fault, worker.name)
        else:
            self._after(1, partial(self._kill_worker, fault))

    def _stop_worker(self, fault: Fault) -> None:
        if worker := self._victim(fault):
            worker.pause()
            self._note(fault, worker.name)
            self._after(fault.seconds, worker.resume)
        else:
            self._after(1, partial(self._stop_worker, fault))

    def _term_worker(self, fault: Fault) -> None:
        """One leaves, and the next in the rebalance that follows; both come back."""
        there = [each for each in self._stage.workers if each.wanted and not each.paused]
        for number, worker in enumerate(there[:2]):
            self._after(number * 0.5, partial(worker.signal, signal.SIGTERM))
        self._note(fault, " and ".join(worker.name for worker in there[:2]))

    def _kill_trainer(self, fault: Fault) -> None:
        self._stage.trainer.kill()
        self._note(fault, "trainer")

    def _kill_broker(self, fault: Fault) -> None:
        """Never two at once: wait until all are whole."""
        cluster = self._stage.cluster
        if not cluster.whole():
            self._after(1, partial(self._kill_broker, fault))
            return
        number = fault.victim % cluster.size
        node = cluster.nodes[number]
        node.kill()
        self._note(fault, f"broker-{number}")
        self._after(fault.seconds, node.start)

    def _cut(self, fault: Fault) -> None:
        requests, answers = fault.kind != Kind.CUT_ANSWERS, fault.kind != Kind.CUT_REQUESTS
        for node in self._stage.cluster.nodes:
            node.proxy.cut(requests, answers)
        self._note(fault, "worker-0")
        self._after(fault.seconds, self._heal)

    def _slow(self, fault: Fault) -> None:
        for node in self._stage.cluster.nodes:
            node.proxy.slow(0.2)
        self._note(fault, "worker-0")
        self._after(fault.seconds, self._heal)

    def _heal(self) -> None:
        for node in self._stage.cluster.nodes:
            node.proxy.heal()

    def _clock(self, fault: Fault) -> None:
        worker = self._stage.workers[MOVABLE_CLOCK]
        ahead = fault.victim % 2 == 0
        if worker.ready():
            worker.signal(AHEAD if ahead else BEHIND)
            self._note(fault, f"{worker.name} by {'+' if ahead else '-'}1 h")
        else:
            self._after(1, partial(self._clock, fault))

    def _scale(self, fault: Fault) -> None:
        target = 1 if fault.victim % 2 == 0 else SLOTS
        self._scale_to(target)
        self._note(fault, f"to {target} workers")
        self._after(fault.seconds, partial(self._scale_to, self._workers))

    def _scale_to(self, target: int) -> None:
        for number, worker in enumerate(self._stage.workers):
            if number < target:
                worker.want()
            elif worker.wanted:
                worker.resume()
                worker.leave()

    def _batch(self, beat: int) -> Batch:
        """Listings with 1% of poison, tombstones, and labels, some of which come twice."""
        size = max(1, self._rate // 10)
        for number, listing in enumerate(listings(size, beat * size), beat * size):
            poisoned = number % _POISON_EVERY == _POISON_EVERY - 1
            yield Topic.LISTINGS, _poison(number) if poisoned else listing
        if beat % 2 == 0:
            event = labelled(beat // 2)
            for _ in range(2 if beat % 20 == 0 else 1):
                yield Topic.LABELLED, message(event, event.listing_id)


def _poison(number: int) -> tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes]]]:
    """Something that breaks decoding or inference, or the end of a listing, in turn."""
    chance = random.Random(number)
    kind = chance.choice([*sorted(set(BREAKAGES) - {"too_large"}), "inference", "tombstone"])
    if kind == "tombstone":
        return b"l-gone", None, ()
    if kind == "inference":
        key, value, headers = listings(1, number)[0]
        assert value is not None
        title = f'"title":"{KABOOM}"'.encode()
        start = value.index(b'"title":')
        end = value.index(b",", start)
        return key, value[:start] + title + value[end:], headers
    broken = broken_message(kind, Listing(f"l-{number % 40}", "Loft"), f"e-{number}", AT)
    return broken.key, broken.value, broken.headers


def counted(done: Sequence[Done]) -> dict[str, int]:
    """How often each kind happened."""
    return dict(Counter(str(each.kind) for each in done))
