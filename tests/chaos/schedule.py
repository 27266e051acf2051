"""What is done to whom, and when: drawn from a seed, so that a failure can be run again."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What is done. What lasts is undone after its seconds."""

    KILL_WORKER = "kill worker"
    STOP_WORKER = "stop worker"  # SIGSTOP past the session, then SIGCONT
    TERM_WORKER = "term worker"  # SIGTERM, and a new one in its slot, in the midst of a rebalance
    KILL_TRAINER = "kill trainer"
    KILL_BROKER = "kill broker"
    CUT_BOTH = "cut both ways"
    CUT_REQUESTS = "cut to the broker"
    CUT_ANSWERS = "cut from the broker"
    CUT_FOR_LONG = "cut for long"  # past the limits of deliveries and transactions
    SLOW = "slow broker"
    CRAWL = "very slow broker"  # answers come when nobody waits for them
    CLOCK = "clock jumps"
    SCALE = "scale"  # to one worker, to all, to one


NETWORK = frozenset(
    {
        Kind.CUT_BOTH,
        Kind.CUT_REQUESTS,
        Kind.CUT_ANSWERS,
        Kind.CUT_FOR_LONG,
        Kind.SLOW,
        Kind.CRAWL,
    }
)
"""What happens between one worker and its brokers."""

STOPPED = frozenset({Kind.KILL_WORKER, Kind.STOP_WORKER, Kind.TERM_WORKER})
"""After what a worker does not run for a while."""

SECONDS: Mapping[Kind, tuple[float, float]] = {
    Kind.STOP_WORKER: (7.5, 10),  # the session is 6 s
    Kind.KILL_BROKER: (1, 8),
    Kind.CUT_BOTH: (2, 6),
    Kind.CUT_REQUESTS: (2, 6),
    Kind.CUT_ANSWERS: (2, 6),
    Kind.CUT_FOR_LONG: (18, 22),
    Kind.SLOW: (3, 6),
    Kind.CRAWL: (18, 22),
    Kind.SCALE: (9, 15),
}
"""How long each lasts, at least and at most; the others are over at once."""


@dataclass(frozen=True)
class Fault:
    """
    One thing that goes wrong.

    Attributes:
        at: Seconds after the start.
        kind: What.
        victim: Number of the worker, broker or damage; what there is fewer of counts round.
        seconds: How long it lasts.
    """

    at: float
    kind: Kind
    victim: int
    seconds: float = 0.0

    def __str__(self) -> str:
        lasts = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.at:7.1f} s  {self.kind} {self.victim}{lasts}"


@dataclass(frozen=True)
class Plan:
    """
    How much goes wrong in how long.

    Attributes:
        seconds: The last fault begins by then.
        counts: How often each kind.
        victims: How many workers (and brokers) there are to choose from.
    """

    seconds: float
    counts: Mapping[Kind, int]
    victims: int = 4

    def drawn(self, seed: int) -> list[Fault]:
        """The faults in order of time; the same for the same seed."""
        return sorted(self._faults(random.Random(seed)), key=lambda fault: fault.at)

    def _faults(self, chance: random.Random) -> Iterator[Fault]:
        for kind in Kind:
            count = self.counts.get(kind, 0)
            for number in range(count):
                # One in each equal share of the time, so that no kind comes all at once.
                at = self.seconds * (number + chance.random()) / count
                victim = chance.randrange(self.victims)
                yield Fault(at, kind, victim, chance.uniform(*SECONDS.get(kind, (0, 0))))


def described(seed: int, faults: list[Fault]) -> str:
    """The schedule, to print and to put into the message of a failure."""
    return "\n".join([f"schedule of seed {seed}:", *map(str, faults)])
