"""What the demo reads off a worker's metrics port, across the worker's lives."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from roomstream.demo.readings import WorkerReadings, fetch, is_ready
from roomstream.ports import reserved_port
from runtime.health import Health, Port
from workers.metrics import WorkerMetrics


@pytest.fixture
def port() -> Iterator[int]:
    with reserved_port() as number:
        yield number


def test_reloads_are_counted_across_restarts(port: int) -> None:
    """The first load of a process is no reload, and a crash forgets none."""
    readings = WorkerReadings(port)
    for loads in (3, 1, 2):
        metrics = WorkerMetrics()
        metrics.reloads.labels(outcome="initial").inc()
        metrics.reloads.labels(outcome="refused").inc()
        with closing(Port("127.0.0.1", readings.port, Health(), metrics.registry, "PORT")):
            readings.read()
            metrics.reloads.labels(outcome="loaded").inc(loads)
            readings.read()
        readings.read()

    assert readings.reloads == 6


def test_a_worker_that_does_not_answer_has_no_release(port: int) -> None:
    """Between two lives nobody serves; the labels' clock must not run on an old answer."""
    readings, metrics = WorkerReadings(port), WorkerMetrics()
    metrics.live_release.labels(release="r-1").set(1)
    with closing(Port("127.0.0.1", readings.port, Health(), metrics.registry, "PORT")):
        readings.read()
        assert readings.release == "r-1"
    readings.read()

    assert readings.release is None


def test_ready_means_that_every_condition_is_met(port: int) -> None:
    """A port that answers 503, or not at all, is not ready."""
    health = Health("release")
    assert not is_ready(port)
    with closing(Port("127.0.0.1", port, health, WorkerMetrics().registry, "PORT")):
        assert not is_ready(port)
        health.set("release", ok=True, why="loaded")
        assert is_ready(port)
        assert fetch(port, "/no-such-page") is None
