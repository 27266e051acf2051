"""The schedule of faults: reproducible, complete, within its time."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.schedule import SECONDS, Kind, Plan, described

plans = st.builds(
    Plan,
    seconds=st.floats(1, 1000),
    counts=st.dictionaries(st.sampled_from(Kind), st.integers(0, 20)),
    victims=st.integers(1, 4),
)


@given(plan=plans, seed=st.integers(0, 1 << 32))
def test_a_seed_is_a_schedule(plan: Plan, seed: int) -> None:
    """The same seed gives the same faults: as many as planned, in order, on those there are."""
    faults = plan.drawn(seed)

    assert faults == plan.drawn(seed)
    assert Counter(fault.kind for fault in faults) == +Counter(plan.counts)
    assert [fault.at for fault in faults] == sorted(fault.at for fault in faults)
    assert all(0 <= fault.at <= plan.seconds for fault in faults)
    assert all(0 <= fault.victim < plan.victims for fault in faults)
    assert all((fault.seconds > 0) == (fault.kind in SECONDS) for fault in faults)


def test_it_can_be_read() -> None:
    """A failure shows its seed and every fault."""
    text = described(7, Plan(10, {Kind.KILL_WORKER: 1, Kind.STOP_WORKER: 1}).drawn(7))

    assert "seed 7" in text
    assert "kill worker" in text
    assert "stop worker" in text
