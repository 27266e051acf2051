"""A worker whose wall clock jumps by an hour, forth and back, under traffic."""

import pytest

from roomstream.audit import run_audit
from schemas.errors import ExitCode
from schemas.topics import Topic
from tests.chaos.clock import AHEAD, BEHIND
from tests.chaos.cluster import Cluster
from tests.chaos.conftest import MakeStage
from tests.chaos.stage import MOVABLE_CLOCK, Delivery
from tests.kafka_io import send
from tests.processes import eventually
from tests.workers.listings import answers, listings, read_answers


@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_a_jumping_clock_costs_nothing(
    one_node: Cluster, stage: MakeStage, delivery: Delivery
) -> None:
    """An hour ahead, two hours back: every listing is answered once; only `classified_at` is wrong."""
    ours = stage(one_node, delivery)
    worker, topic = ours.workers[MOVABLE_CLOCK], Topic.LISTINGS.named(ours.prefix)
    worker.want()
    eventually(worker.ready, "it is ready", 60)
    places: list[tuple[int, int]] = []
    seconds: list[float] = []
    for jump in (None, AHEAD, BEHIND):
        if jump is not None:
            worker.signal(jump)
        places += send(ours.kafka, topic, listings(80, len(places)))
        last = read_answers(ours.kafka, ours.prefix, places)
        seconds.append(max(a.classified_at.timestamp() for a in answers(last)[-1:]))
        assert worker.ready()
    code = worker.gone()
    audits = run_audit(ours.kafka, ours.prefix, ours.group)

    assert code == ExitCode.DONE
    assert worker.codes == [ExitCode.DONE]
    assert all(audit.whole for audit in audits)
    assert sum(audit.answered for audit in audits) == len(places)
    assert seconds[1] - seconds[0] > 3000
    assert seconds[1] - seconds[2] > 6000
