"""What the demo reads off a worker's metrics port, across the worker's lives."""

from contextlib import closing

from roomstream.brokers import free_port
from roomstream.demo.readings import WorkerReadings, fetch, is_ready
from runtime.health import Health, Port
from workers.metrics import WorkerMetrics


def test_reloads_are_counted_across_restarts() -> None:
    """The first load of a process is no reload, and a crash forgets none."""
    readings = WorkerReadings(free_port())
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


def test_a_worker_that_does_not_answer_has_no_release() -> None:
    """Between two lives nobody serves; the labels' clock must not run on an old answer."""
    readings, metrics = WorkerReadings(free_port()), WorkerMetrics()
    metrics.live_release.labels(release="r-1").set(1)
    with closing(Port("127.0.0.1", readings.port, Health(), metrics.registry, "PORT")):
        readings.read()
        assert readings.release == "r-1"
    readings.read()

    assert readings.release is None


def test_ready_means_that_every_condition_is_met() -> None:
    """A port that answers 503, or not at all, is not ready."""
    port, health = free_port(), Health("release")
    assert not is_ready(port)
    with closing(Port("127.0.0.1", port, health, WorkerMetrics().registry, "PORT")):
        assert not is_ready(port)
        health.set("release", ok=True, why="loaded")
        assert is_ready(port)
        assert fetch(port, "/no-such-page") is None
