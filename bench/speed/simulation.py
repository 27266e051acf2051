"""
A cluster of workers as discrete events, from the costs that one machine shows.

Workers take windows as `workers.window` sizes them, brokers are a queue for what windows cost them, and
everything that the whole group does at once (rebalances, new releases) stops or loads all of it. Arrivals
are a flow. It knows nothing of networks: messages and answers are small beside inference.
"""

import heapq
from dataclasses import dataclass, replace
from functools import cache

from workers.window import WindowSize


@dataclass(frozen=True)
class Costs:
    """
    What things take, measured where the simulation is calibrated.

    Attributes:
        text_seconds: A worker's processor time for a listing, all of it.
        window_seconds: How long a worker waits for the brokers to commit a window.
        broker_text_seconds: Processor time of the brokers for a listing, there and back.
        broker_commit_seconds: Processor time of the brokers for a partition that a transaction touches.
        join_seconds: From the call to meet again to the assignment, for a group of one.
        member_seconds: What each member adds to that.
        head_bytes: Of a release that learned on.
        encoder_bytes: Of a release that was fine-tuned.
        load_seconds: To load an encoder once it is there.
    """

    text_seconds: float
    window_seconds: float
    broker_text_seconds: float
    broker_commit_seconds: float
    join_seconds: float
    member_seconds: float
    head_bytes: float
    encoder_bytes: float
    load_seconds: float


@dataclass(frozen=True)
class Cluster:
    """
    What there is.

    Attributes:
        workers: Processes.
        partitions: Of `listings`, and of `classified`.
        cores: For the workers, and for the brokers where `broker_cores` is 0.
        broker_cores: Of all brokers together; 0: they share the workers' cores.
        store_bytes_per_second: Of the store to all of them together.
        latency_budget_seconds: `WORKER_LATENCY_BUDGET_SECONDS`.
        max_window: `WORKER_MAX_WINDOW`.
    """

    workers: int
    partitions: int
    cores: float
    broker_cores: float = 0
    store_bytes_per_second: float = 1e9
    latency_budget_seconds: float = 0.5
    max_window: int = 2048


PATIENCE_SECONDS = 3600
"""A group that has not caught up by then does not catch up."""


@dataclass(frozen=True)
class Outcome:
    """
    What became of some events.

    Attributes:
        seconds: Until the last was answered.
        rate: Events answered a second.
        windows: How many transactions that took.
        broker_share: How busy the brokers were, in [0, 1].
        worker_share: How busy the mean worker was, in [0, 1].
    """

    seconds: float
    rate: float
    windows: int
    broker_share: float
    worker_share: float


@cache
def drained(costs: Costs, cluster: Cluster, events: int, arriving: float = 0.0) -> Outcome:
    """
    Let a group answer events that wait, spread evenly over the partitions.

    Tables and pictures ask for the same again: it is remembered.

    Args:
        costs: What things take.
        cluster: What there is.
        events: How many wait at the beginning.
        arriving: How many more come a second, until no more wait than come during a window.

    Returns:
        How it went; `seconds` is infinite where it has not caught up within `PATIENCE_SECONDS`: windows
        get smaller as less waits, and may then cost more than they answer.
    """
    shares = _assigned(cluster)
    waiting = [events * share / cluster.partitions for share in shares]
    rates = [arriving * share / cluster.partitions for share in shares]
    sizes = [WindowSize(cluster.latency_budget_seconds, cluster.max_window) for _ in shares]
    slower = _contention(costs, cluster)
    brokers = _Brokers(costs, cluster)
    begun = [(0.0, worker) for worker in range(len(shares)) if shares[worker]]
    heapq.heapify(begun)
    seen_at = [0.0] * len(shares)
    answered, windows, busy, now = 0.0, 0, 0.0, 0.0
    if any(rate * costs.text_seconds * slower >= 1 for rate in rates):
        return Outcome(float("inf"), 0.0, 0, 0.0, 0.0)
    while begun:
        at, worker = heapq.heappop(begun)
        if arriving and at > PATIENCE_SECONDS:
            return Outcome(float("inf"), answered / now, windows, 1.0, 1.0)
        waiting[worker] += rates[worker] * (at - seen_at[worker])
        seen_at[worker] = at
        size = sizes[worker]
        taken = min(size.events, int(waiting[worker]))
        if waiting[worker] < max(1.0, rates[worker] * cluster.latency_budget_seconds):
            continue  # it has caught up: no more waits than comes during a window
        inference = taken * costs.text_seconds * slower
        ready = at + inference
        done = brokers.commit(ready, taken, shares[worker]) + costs.window_seconds
        waiting[worker] -= taken
        size.measured(taken, done - at, int(waiting[worker]))
        answered, windows, busy = answered + taken, windows + 1, busy + inference
        now = max(now, done)
        heapq.heappush(begun, (done, worker))
    return Outcome(
        now,
        answered / now if now else 0.0,
        windows,
        brokers.busy_seconds / (now * brokers.cores) if now else 0.0,
        busy / (now * len(shares)) if now else 0.0,
    )


class _Brokers:
    """A queue with as many servers as cores; what it is given first is done first."""

    def __init__(self, costs: Costs, cluster: Cluster) -> None:
        self._costs = costs
        self.cores = cluster.broker_cores or cluster.cores
        # Then contention counts, and not a queue of its own.
        self._shared = not cluster.broker_cores
        self._free_at = [0.0] * max(1, int(self.cores))
        self.busy_seconds = 0.0

    def commit(self, at: float, events: int, partitions: int) -> float:
        """When the brokers begin with a window that was ready at a time; what that takes is measured."""
        # Its inputs' partitions, as many of the outputs' at most, and the group's offsets.
        touched = 2 * min(events, partitions) + 1
        work = (
            events * self._costs.broker_text_seconds + touched * self._costs.broker_commit_seconds
        )
        self.busy_seconds += work
        if self._shared:
            return at
        begins = max(at, heapq.heappop(self._free_at))
        heapq.heappush(self._free_at, begins + work)
        return begins


def _assigned(cluster: Cluster) -> list[int]:
    """Partitions of each worker: as even as can be, and none for those that are too many."""
    few, more = divmod(cluster.partitions, cluster.workers)
    return [few + (worker < more) for worker in range(cluster.workers)]


def _contention(costs: Costs, cluster: Cluster) -> float:
    """How many times longer inference takes where processes share cores."""
    wanted = float(cluster.workers)
    if not cluster.broker_cores:
        wanted *= 1 + costs.broker_text_seconds / costs.text_seconds
    return max(1.0, wanted / cluster.cores)


def rebalance_seconds(costs: Costs, cluster: Cluster) -> float:
    """
    How long nobody answers when a member comes or goes.

    All members finish their window (a longer one in a backlog), meet, and go on from what is committed
    (KIP-62). Static membership (KIP-345) spares a member that is back in time all of it.
    """
    return (
        cluster.latency_budget_seconds + costs.join_seconds + cluster.workers * costs.member_seconds
    )


def release_seconds(costs: Costs, cluster: Cluster, encoder: bool) -> float:
    """How long until the last worker serves a release; all serve the one before meanwhile."""
    size = costs.head_bytes + (costs.encoder_bytes if encoder else 0)
    download = cluster.workers * size / cluster.store_bytes_per_second
    return download + (costs.load_seconds if encoder else 0)


def bottleneck(costs: Costs, cluster: Cluster, events: int) -> tuple[str, str]:
    """
    What limits a group, and the setting that moves it.

    What helps most when it is made twice as good is what limits.
    """
    now = drained(costs, cluster, events).rate
    cheaper = replace(costs, broker_text_seconds=0, broker_commit_seconds=0)
    evenly = replace(cluster, partitions=cluster.partitions * 8)
    larger = replace(cluster, latency_budget_seconds=4 * cluster.latency_budget_seconds)
    gains = {
        ("brokers", "WORKER_LATENCY_BUDGET_SECONDS (larger windows), or more brokers"): drained(
            cheaper, cluster, events
        ).rate,
        ("partitions are not shared out evenly", "partitions of `listings`"): drained(
            costs, evenly, events
        ).rate,
        ("waiting for commits", "WORKER_LATENCY_BUDGET_SECONDS (larger windows)"): drained(
            costs, larger, events
        ).rate,
    }
    best = max(gains, key=gains.__getitem__)
    if gains[best] < 1.05 * now:
        return "inference", "more workers, or a smaller model"
    return best
