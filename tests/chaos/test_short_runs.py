"""Short runs of the long one (`make chaos`): every kind of fault, on one node and on three."""

from collections.abc import Iterator, Mapping

import pytest

from tests.chaos.cluster import Cluster
from tests.chaos.conftest import MakeStage
from tests.chaos.run import Run
from tests.chaos.schedule import Kind, Plan, described
from tests.chaos.stage import Stage
from tests.chaos.verdict import Verdict, judge

pytestmark = pytest.mark.timeout(300)

SEED = 11
ON_WORKERS = {
    Kind.KILL_WORKER: 3,
    Kind.STOP_WORKER: 1,
    Kind.TERM_WORKER: 1,
    Kind.KILL_TRAINER: 1,
    Kind.CUT_BOTH: 1,
    Kind.CUT_REQUESTS: 1,
    Kind.CUT_ANSWERS: 1,
    Kind.SLOW: 1,
    Kind.SCALE: 1,
}


@pytest.fixture(scope="module")
def three_nodes() -> Iterator[Cluster]:
    """Three combined nodes."""
    with Cluster(3) as cluster:
        yield cluster


def outcome(stage: Stage, counts: Mapping[Kind, int], seconds: float) -> Verdict:
    """Play a schedule, and fail with it unless all is as promised."""
    faults = Plan(seconds, counts).drawn(SEED)
    print(described(SEED, faults))  # noqa: T201 - pytest shows it where a test fails
    run = Run(stage, faults)
    run.play()
    verdict = judge(stage, run)
    assert verdict.whole, (verdict, described(SEED, faults))
    assert verdict.faults == {str(kind): count for kind, count in counts.items()}
    return verdict


def test_exactly_once_whatever_is_done_to_workers(one_node: Cluster, stage: MakeStage) -> None:
    """Kills, stops, cuts and poison: every listing has one result, every label is learned once."""
    verdict = outcome(stage(one_node, "exactly-once"), ON_WORKERS, 12)

    assert verdict.lost == verdict.repeated == verdict.unknown == 0
    assert verdict.sent == verdict.answered + verdict.dead + verdict.skipped > 1000
    assert verdict.dead > 0


def test_at_least_once_repeats_a_window_a_fault(one_node: Cluster, stage: MakeStage) -> None:
    """Nothing is lost, and no more is repeated than was in flight when work broke off."""
    counts = {Kind.KILL_WORKER: 2, Kind.STOP_WORKER: 1, Kind.CUT_BOTH: 1, Kind.TERM_WORKER: 1}
    verdict = outcome(stage(one_node, "at-least-once"), counts, 8)

    assert verdict.lost == verdict.unknown == 0
    assert verdict.repeated <= verdict.repeats_allowed


def test_exactly_once_while_a_broker_of_three_is_killed(
    three_nodes: Cluster, stage: MakeStage
) -> None:
    """A broker, a worker and the trainer die within seconds."""
    counts = {Kind.KILL_BROKER: 1, Kind.KILL_WORKER: 1, Kind.KILL_TRAINER: 1}
    verdict = outcome(stage(three_nodes, "exactly-once"), counts, 5)

    assert verdict.lost == verdict.repeated == 0
