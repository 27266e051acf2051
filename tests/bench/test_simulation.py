"""The simulated cluster: conservation, limits that are known, and what moves them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.speed.simulation import (
    Cluster,
    Costs,
    bottleneck,
    drained,
    rebalance_seconds,
    release_seconds,
)

COSTS = Costs(
    text_seconds=0.01,
    window_seconds=0.0,
    broker_text_seconds=0.0,
    broker_commit_seconds=0.0,
    join_seconds=1.0,
    member_seconds=0.01,
    head_bytes=1e6,
    encoder_bytes=9e7,
    load_seconds=2.0,
)
ONE = Cluster(workers=1, partitions=4, cores=1, broker_cores=1)


def test_one_worker_does_what_inference_allows() -> None:
    """Where nothing else costs anything."""
    found = drained(COSTS, ONE, 10_000)

    assert found.seconds == pytest.approx(100)
    assert found.rate == pytest.approx(100)
    assert found.worker_share == pytest.approx(1)


@given(workers=st.integers(1, 20), events=st.integers(2_000, 20_000))
def test_more_workers_are_as_much_faster_as_partitions_allow(workers: int, events: int) -> None:
    """The last event is answered by the worker with most partitions."""
    cluster = Cluster(workers, 20, workers, broker_cores=1)
    found = drained(COSTS, cluster, events)
    most = -(-20 // workers)

    assert found.seconds == pytest.approx(events * most / 20 * COSTS.text_seconds, rel=0.02)


def test_processes_share_cores() -> None:
    """Four workers on two cores do as much as two."""
    two, four = (drained(COSTS, Cluster(n, 4, 2), 10_000).rate for n in (2, 4))

    assert two == pytest.approx(200, rel=0.01)
    assert four == pytest.approx(200, rel=0.01)


def test_lag_is_caught_up_as_fast_as_there_is_room() -> None:
    """At 60% of what it can do, 1,000 events that wait are gone at the rate of the other 40%."""
    found = drained(COSTS, ONE, 1_000, arriving=60)

    assert found.seconds == pytest.approx(1_000 / 40, rel=0.1)
    assert drained(COSTS, ONE, 1_000, arriving=100).seconds == float("inf")


def test_a_group_that_only_large_windows_let_keep_up_never_catches_up() -> None:
    """Each commit takes half a second: 60 a second are answered while many wait, not once few do."""
    costs = replace(COSTS, window_seconds=0.5)

    assert drained(costs, ONE, 10_000).rate > 60
    assert drained(costs, ONE, 1_000, arriving=60).seconds == float("inf")


def test_what_limits_is_found() -> None:
    """Partitions that are not shared out evenly, brokers that are busy, or inference alone."""
    uneven = Cluster(workers=3, partitions=4, cores=3, broker_cores=8)
    slow = replace(COSTS, broker_text_seconds=0.02)
    waits = replace(COSTS, window_seconds=0.5)

    assert bottleneck(COSTS, ONE, 10_000)[0] == "inference"
    assert bottleneck(COSTS, uneven, 10_000)[0] == "partitions are not shared out evenly"
    assert bottleneck(slow, ONE, 10_000)[0] == "brokers"
    assert bottleneck(waits, ONE, 10_000)[0] == "waiting for commits"


def test_what_all_do_at_once_grows_with_their_number() -> None:
    """A rebalance by each member's share; a release by what the store can send."""
    many = Cluster(workers=1_000, partitions=1_000, cores=1_000, broker_cores=8)

    assert rebalance_seconds(COSTS, many) == pytest.approx(0.5 + 1 + 10)
    assert release_seconds(COSTS, many, encoder=False) == pytest.approx(1)
    assert release_seconds(COSTS, many, encoder=True) == pytest.approx(93)
