"""Run a worker: one process, or several under a supervisor."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog

from runtime.health import Health, Port
from runtime.permissions import permitted, worker_access
from runtime.records import Record
from runtime.settings import KafkaSettings, SharedSettings, env_name, settings_environment
from runtime.stopping import stop_on_signals
from runtime.supervisor import Child, Supervisor
from runtime.watchdog import Watchdog
from schemas.errors import ExitCode
from workers.faust_delivery import FaustDelivery
from workers.live_model import LiveModel
from workers.metrics import WorkerMetrics
from workers.pipeline import Pipeline, Window
from workers.settings import WorkerSettings
from workers.transactional_delivery import TransactionalDelivery

_log = structlog.get_logger(__name__)

_ENGINES: dict[str, type[FaustDelivery] | type[TransactionalDelivery]] = {
    "at-least-once": FaustDelivery,
    "exactly-once": TransactionalDelivery,
}


def run_worker(kafka: KafkaSettings, shared: SharedSettings, worker: WorkerSettings) -> int:
    """
    Classify listings until SIGTERM or SIGINT, then drain.

    Returns:
        The exit code of the process.

    Raises:
        RoomstreamError: What is wrong with the world; carries the exit code.
    """
    if worker.processes > 1:
        return _supervise(kafka, shared, worker)
    access = worker_access(worker.consumer_group(shared.topic_prefix))
    with permitted(kafka, shared.topic_prefix, access):
        return _serve(kafka, shared, worker)


def _serve(kafka: KafkaSettings, shared: SharedSettings, worker: WorkerSettings) -> int:
    stop = stop_on_signals()
    metrics = WorkerMetrics()
    health = Health("release", "partitions")
    port = Port(
        shared.listen_host,
        worker.metrics_port,
        health,
        metrics.registry,
        env_name(WorkerSettings, "metrics_port"),
    )
    try:
        model = LiveModel(kafka, shared, metrics, health, worker.threads)
        try:
            model.start(worker.release_wait_seconds)
            pipeline = Pipeline(shared.topic_prefix, worker.review_share)

            def answer(records: Sequence[Record]) -> Window:
                return pipeline.run(records, model.current(), datetime.now(UTC))

            group = worker.consumer_group(shared.topic_prefix)
            _log.info("serving", delivery=worker.delivery, group=group, port=port.port)
            engine = _ENGINES[worker.delivery]
            engine(
                kafka,
                shared.topic_prefix,
                worker,
                answer,
                metrics,
                health,
                Watchdog(worker.watchdog_seconds),
            ).run(stop)
        finally:
            model.close()
    finally:
        port.close()
    return ExitCode.DONE


def _supervise(kafka: KafkaSettings, shared: SharedSettings, worker: WorkerSettings) -> int:
    stop = stop_on_signals()
    children = [
        Child(
            name=f"worker {worker.slot}-{number}",
            command=[sys.executable, "-m", "roomstream", "worker"],
            environment=_environment(kafka, shared, worker, number),
        )
        for number in range(worker.processes)
    ]
    return Supervisor(children).run(stop)


def _environment(
    kafka: KafkaSettings, shared: SharedSettings, worker: WorkerSettings, number: int
) -> dict[str, str]:
    port = worker.metrics_port + number if worker.metrics_port else 0
    own = worker.model_copy(
        update={"processes": 1, "slot": f"{worker.slot}-{number}", "metrics_port": port}
    )
    return {
        **settings_environment(kafka),
        **settings_environment(shared),
        **settings_environment(own),
    }
