"""`listings` is deleted and created again under a running worker: nothing of the new topic is lost."""

import time
from collections import Counter

import pytest

from roomstream.audit import run_audit
from schemas.errors import ExitCode
from schemas.topics import Topic
from tests.chaos.cluster import Cluster
from tests.chaos.conftest import MakeStage
from tests.chaos.stage import PARTITIONS, Delivery, Stage
from tests.kafka_io import created_again, read_until, send
from tests.processes import eventually
from tests.workers.listings import answers, listings

BEFORE = 200
RESULTS = (Topic.CLASSIFIED, Topic.REVIEW, Topic.DEAD)


def read_events(stage: Stage, wanted: set[str], seconds: float = 60) -> Counter[str]:
    """Read answers until all of these events have one; how often each was answered."""
    records = read_until(
        stage.kafka,
        stage.prefix,
        Topic.CLASSIFIED,
        lambda found: wanted <= {answer.event_id for answer in answers(found)},
        seconds,
    )
    return Counter(answer.event_id for answer in answers(records))


@pytest.mark.parametrize(
    ("delivery", "after"),
    [("exactly-once", 4 * BEFORE), ("at-least-once", 4 * BEFORE), ("exactly-once", BEFORE // 4)],
)
def test_a_worker_begins_at_the_start_of_the_new_topic(
    one_node: Cluster, stage: MakeStage, delivery: Delivery, after: int
) -> None:
    """
    Whether its position lies within the new topic or beyond its end, it ends with 75 and starts anew.

    As the results were deleted with it, the audit is whole. The worker sleeps meanwhile: it sees nothing
    of the deletion, and no request of its fails.
    """
    ours = stage(one_node, delivery)
    name = Topic.LISTINGS.named(ours.prefix)
    worker = ours.workers[2]
    worker.want()
    send(ours.kafka, name, listings(BEFORE))
    read_events(ours, {f"e-{number}" for number in range(BEFORE)})
    worker.pause()
    created_again(ours.kafka, ours.prefix, PARTITIONS, Topic.LISTINGS, *RESULTS)
    send(ours.kafka, name, listings(after, BEFORE))
    time.sleep(1)  # it looks at most once a second
    worker.resume()
    found = read_events(ours, {f"e-{number}" for number in range(BEFORE, BEFORE + after)})

    eventually(worker.ready, "it is ready again")
    assert max(found.values()) == 1
    assert worker.codes == [ExitCode.TRY_AGAIN]
    assert worker.gone() == ExitCode.DONE
    audits = run_audit(ours.kafka, ours.prefix, ours.group)
    assert all(audit.whole for audit in audits)
    assert sum(audit.answered for audit in audits) == after
