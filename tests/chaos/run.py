"""Plays a schedule of faults against a deployment while listings and labels keep coming."""

import heapq
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from roomstream.broken_messages import BREAKAGES, broken_message
from roomstream.listings import Listing
from schemas.topics import Topic
from tests.chaos.clock import AHEAD, BEHIND
from tests.chaos.proxy import Harm, Proxy
from tests.chaos.schedule import NETWORK, Fault, Kind
from tests.chaos.service import Service
from tests.chaos.stage import BEHIND_PROXY, MOVABLE_CLOCK, SLOTS, Stage
from tests.kafka_io import message
from tests.releases import KABOOM
from tests.trainer.labels import labelled
from tests.workers.listings import AT, listings
from tests.workers.traffic import Batch, Traffic

_TICK_SECONDS = 0.05
_POISON_EVERY = 100
_PATIENCE_SECONDS = 180
_CRAWLS_SECONDS = (2, 5, 10, 20)

Say = Callable[[str], object]


@dataclass(frozen=True)
class Done:
    """
    A fault that hit.

    Attributes:
        at: When it began, in seconds since 1970.
        seconds: How long it lasted.
        kind: What.
        victims: To whom.
        workers: How many were there.
    """

    at: float
    seconds: float
    kind: Kind
    victims: Sequence[str]
    workers: int

    def meets(self, other: "Done") -> bool:
        """Whether both were done to the same one at the same time."""
        return (
            not set(self.victims).isdisjoint(other.victims)
            and self.at <= other.at + other.seconds
            and other.at <= self.at + self.seconds
        )


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
        done: The faults that hit.
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
            Kind.CLOCK: self._clock,
            Kind.SCALE: self._scale,
            **dict.fromkeys(NETWORK, self._harm_network),
        }

    def play(self) -> None:
        """Start everything, let traffic flow, do what is scheduled, undo what lasts."""
        self._scale_to(self._workers)
        self._stage.trainer.want()
        self._await_ready()
        with self.traffic.flowing():
            self._started = self._last_hit = time.monotonic()
            for fault in self._faults:
                self._later(fault.at, partial(self._doing[fault.kind], fault))
            while self._agenda:
                assert time.monotonic() < self._last_hit + _PATIENCE_SECONDS, (
                    f"nothing more can be hit: {len(self.done)} of {len(self._faults)} faults were"
                )
                self._tick()
        self._await_ready()

    def _tick(self) -> None:
        while self._agenda and self._agenda[0][0] <= self._elapsed():
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
        self._later(self._elapsed() + seconds, do)

    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    def _again(self, fault: Fault) -> None:
        """It hit nobody: try it a second later."""
        self._after(1, partial(self._doing[fault.kind], fault))

    def _note(self, fault: Fault, *victims: str) -> None:
        workers = sum(worker.wanted for worker in self._stage.workers)
        self._last_hit = time.monotonic()
        self.done.append(Done(time.time(), fault.seconds, fault.kind, victims, workers))
        self._say(f"{len(self.done):4}/{len(self._faults)}  {fault}  ->  {' and '.join(victims)}")

    def _victims(self) -> list[Service]:
        """Workers that run; not the one whose network is harmed, as that would mean nothing to it."""
        harmed = self._stage.workers[BEHIND_PROXY] if self._proxies[0].harms else None
        return [
            each
            for each in self._stage.workers
            if each.wanted and not each.paused and each is not harmed
        ]

    def _hit(self, fault: Fault, harm: Callable[[Service], bool]) -> Service | None:
        """Do it to a worker; if it does not run just now, all is tried again."""
        victims = self._victims()
        worker = victims[fault.victim % len(victims)] if victims else None
        if worker is None or not harm(worker):
            self._again(fault)
            return None
        self._note(fault, worker.name)
        return worker

    def _kill_worker(self, fault: Fault) -> None:
        self._hit(fault, Service.kill)

    def _stop_worker(self, fault: Fault) -> None:
        """Of one that has partitions: others lose nothing by it."""
        if worker := self._hit(fault, lambda each: each.ready() and each.pause()):
            self._after(fault.seconds, worker.resume)

    def _term_worker(self, fault: Fault) -> None:
        """One leaves, and the next in the rebalance that follows; both come back."""
        if first := self._hit(fault, Service.terminate):
            self._after(0.5, partial(self._term_another, first))

    def _term_another(self, first: Service) -> None:
        for worker in self._victims():
            if worker is not first and worker.terminate():
                return

    def _kill_trainer(self, fault: Fault) -> None:
        if self._stage.trainer.kill():
            self._note(fault, self._stage.trainer.name)
        else:
            self._again(fault)

    def _kill_broker(self, fault: Fault) -> None:
        """Never two at once: wait until all are whole."""
        cluster = self._stage.cluster
        if not cluster.whole():
            self._again(fault)
            return
        number = fault.victim % cluster.size
        node = cluster.nodes[number]
        node.kill()
        self._note(fault, f"broker-{number}")
        self._after(fault.seconds, node.start)

    @property
    def _proxies(self) -> list[Proxy]:
        return [node.proxy for node in self._stage.cluster.nodes]

    def _harm_network(self, fault: Fault) -> None:
        """Of a worker that is at work."""
        worker = self._stage.workers[BEHIND_PROXY]
        if worker.paused or not worker.ready():
            self._again(fault)
            return
        harm = _harm(fault)
        for proxy in self._proxies:
            proxy.harms.append(harm)
            self._after(fault.seconds, partial(proxy.harms.remove, harm))
        self._note(fault, worker.name)

    def _clock(self, fault: Fault) -> None:
        """Of a worker and of the trainer, whichever is at work."""
        jump = AHEAD if fault.victim % 2 == 0 else BEHIND
        movable = (self._stage.workers[MOVABLE_CLOCK], self._stage.trainer)
        hit = [x.name for x in movable if not x.paused and x.ready() and x.signal(jump)]
        if hit:
            self._note(fault, *hit)
        else:
            self._again(fault)

    def _scale(self, fault: Fault) -> None:
        """To one worker, to all in one step, to one, and back to as many as there were."""
        self._scale_to(1)
        self._note(fault, f"1 to {SLOTS} workers")
        for number, target in enumerate((SLOTS, 1, self._workers), 1):
            self._after(fault.seconds * number / 3, partial(self._scale_to, target))

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


def _harm(fault: Fault) -> Harm:
    match fault.kind:
        case Kind.CUT_REQUESTS:
            return Harm(requests=True)
        case Kind.CUT_ANSWERS:
            return Harm(answers=True)
        case Kind.SLOW:
            return Harm(delay_seconds=0.2)
        case Kind.CRAWL:
            return Harm(delay_seconds=_CRAWLS_SECONDS[fault.victim % len(_CRAWLS_SECONDS)])
        case _:
            return Harm(requests=True, answers=True)


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
