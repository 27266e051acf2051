"""The circuit under any order of windows and probes: how many failures it lets out, and that it heals."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from runtime.retrying import BackOff
from workers.circuit import LEAST_EVENTS, PROBE_EVENTS, Circuit

BACK_OFF = BackOff(first_seconds=1, most_seconds=15)
LONGEST_WAIT = 15 * 1.2


def windows(most: int) -> st.SearchStrategy[list[bool]]:
    mixed = st.lists(st.booleans(), min_size=1, max_size=most)
    same = st.builds(lambda failed, count: [failed] * count, st.booleans(), st.integers(1, most))
    return mixed | same


class Worker(RuleBasedStateMachine):
    """What a delivery engine does with a circuit, and what must hold of what it delivers."""

    limit = 0.5
    events = 40

    def __init__(self) -> None:
        super().__init__()
        self.circuit = Circuit(self.limit, self.events, BACK_OFF)
        self.now = 0.0
        self.release = "a"
        self.failing = ""
        self.since_closed: list[bool] = []

    @precondition(lambda self: not self.circuit.is_open)
    @rule(window=windows(100))
    def answer(self, window: list[bool]) -> None:
        """A window of a closed circuit."""
        judged = [*self.since_closed, *window][-max(self.events, len(window)) :]
        admitted = self.circuit.admits(window, self.release, self.now)

        assert admitted == (len(judged) < LEAST_EVENTS or self.share(judged) <= self.limit)
        assert self.circuit.is_open == (not admitted)
        self.settle(window, admitted)

    @precondition(lambda self: self.circuit.is_open)
    @rule(window=windows(PROBE_EVENTS))
    def probe(self, window: list[bool]) -> None:
        """A small window of an open circuit, once it is time."""
        if self.circuit.waits(self.release, self.now):
            self.now = self.circuit.probe_at
        assert not self.circuit.waits(self.release, self.now)
        admitted = self.circuit.admits(window, self.release, self.now)

        assert admitted == (self.share(window) <= self.limit)
        assert self.circuit.is_open == (not admitted)
        if admitted:
            self.since_closed = []
        self.settle(window, admitted)

    @rule(seconds=st.floats(0, 40))
    def wait(self, seconds: float) -> None:
        """Time goes by."""
        self.now += seconds

    @rule(release=st.sampled_from("abc"))
    def take_up(self, release: str) -> None:
        """Another release answers from now on."""
        self.release = release
        if release != self.failing:
            assert not self.circuit.waits(release, self.now)

    @invariant()
    def no_wait_is_endless(self) -> None:
        """Within the longest wait there is a probe, or it is closed."""
        assert not self.circuit.waits(self.release, self.now + LONGEST_WAIT)

    def settle(self, window: Sequence[bool], admitted: bool) -> None:
        """Remember what was delivered; what was not is probed later."""
        if admitted:
            self.since_closed += window
        else:
            self.failing = self.release
            assert self.circuit.waits(self.release, self.now)
            assert self.circuit.probe_at >= self.now + 0.8

    @staticmethod
    def share(events: Sequence[bool]) -> float:
        """Of failures."""
        return sum(events) / len(events)


TestWorker = Worker.TestCase


@given(st.lists(windows(60), max_size=40), st.sampled_from([10, 40, 100]))
def test_a_flood_is_dammed(flood: list[list[bool]], events: int) -> None:
    """However good things were before, what follows them delivers less than half a window of it."""
    circuit = Circuit(0.5, events, BACK_OFF)
    for window in flood:
        circuit.admits(window, "a", 0)
    out = 0
    for number in range(300):
        window = [True] * (PROBE_EVENTS if circuit.is_open else 1 + number % 60)
        out += len(window) * circuit.admits(window, "b", 100.0 * number)

    assert circuit.is_open
    assert out <= max(LEAST_EVENTS, events / 2)


@given(st.lists(windows(60), max_size=60))
def test_a_limit_of_one_lets_everything_through(stream: list[list[bool]]) -> None:
    """That is how it is switched off."""
    circuit = Circuit(1.0, 100, BACK_OFF)

    assert all(circuit.admits(window, "a", 0) for window in stream)


def test_a_circuit_that_opens_again_soon_waits_longer() -> None:
    """A world that is mended in part is not probed every second; after a full window it is again."""
    circuit = Circuit(0.5, 100, BACK_OFF)
    waits = []
    for _ in range(6):
        assert not circuit.admits([True] * 30, "a", 0)
        waits.append(circuit.probe_at)
        assert circuit.admits([False] * 8, "a", 1000)
    assert circuit.admits([False] * 100, "a", 2000)
    assert not circuit.admits([True] * 100, "a", 0)

    assert 0.8 <= waits[0] <= 1.2
    assert waits[-1] >= 12
    assert 0.8 <= circuit.probe_at <= 1.2


def test_a_window_that_tells_nothing_closes_it() -> None:
    """Nothing but tombstones and poison: they must not be held for ever, and the next window tells."""
    circuit = Circuit(0.5, 100, BACK_OFF)
    assert not circuit.admits([True] * 30, "a", 0)

    assert circuit.admits([], "a", 1000)
    assert not circuit.is_open
