"""Short runs of the long one (`make chaos`): what lasts 20 s is left to that."""

from collections.abc import Mapping

import pytest

from tests.chaos.cluster import Cluster
from tests.chaos.conftest import MakeStage
from tests.chaos.run import Run
from tests.chaos.schedule import Kind, Plan, described
from tests.chaos.stage import Stage
from tests.chaos.verdict import Verdict, judge

pytestmark = pytest.mark.timeout(300)

SEED = 7099  # faults of the network come before the broker is killed, which makes a short run
LONG = {Kind.CUT_FOR_LONG, Kind.CRAWL}
ALL = dict.fromkeys(set(Kind) - LONG, 1) | {Kind.KILL_WORKER: 3}
SOME = dict.fromkeys(
    (
        Kind.KILL_BROKER,
        Kind.KILL_TRAINER,
        Kind.STOP_WORKER,
        Kind.TERM_WORKER,
        Kind.CUT_BOTH,
        Kind.SLOW,
    ),
    1,
) | {Kind.KILL_WORKER: 2}


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


def test_exactly_once_whatever_is_done_on_three_nodes(
    three_nodes: Cluster, stage: MakeStage
) -> None:
    """Kills, stops, cuts and poison: every listing has one result, every label is learned once."""
    verdict = outcome(stage(three_nodes, "exactly-once"), ALL, 12)

    assert verdict.lost == verdict.repeated == verdict.unknown == 0
    assert verdict.sent == verdict.answered + verdict.dead + verdict.skipped > 1000
    assert verdict.dead > 0


def test_at_least_once_repeats_a_window_a_fault(one_node: Cluster, stage: MakeStage) -> None:
    """Though the only broker is killed, nothing is lost, nor repeated but what was in flight."""
    verdict = outcome(stage(one_node, "at-least-once"), SOME, 8)

    assert verdict.lost == verdict.unknown == 0
    assert verdict.repeated <= verdict.repeats_allowed
