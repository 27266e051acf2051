"""Run a worker: one process, or several under a supervisor."""

import gc
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from artefacts.manifest import ENCODER
from runtime.health import Health, Port
from runtime.permissions import permitted, worker_access
from runtime.records import Record
from runtime.retrying import retry
from runtime.same_topic import SameTopic
from runtime.settings import KafkaSettings, SharedSettings, env_name, settings_environment
from runtime.stopping import stop_on_signals
from runtime.supervisor import Child, Supervisor
from runtime.watchdog import Watchdog
from schemas.errors import ExitCode
from schemas.topics import Topic
from workers.feature_drift import FeatureDrift
from workers.live_model import LiveModel
from workers.metrics import WorkerMetrics
from workers.outcomes import Window
from workers.pipeline import Pipeline
from workers.review import Review
from workers.settings import WorkerSettings

if TYPE_CHECKING:
    from workers.faust_delivery import FaustDelivery
    from workers.transactional_delivery import TransactionalDelivery

_log = structlog.get_logger(__name__)


def run_worker(kafka: KafkaSettings, shared: SharedSettings, worker: WorkerSettings) -> int:
    """
    Classify listings until SIGTERM or SIGINT, then drain.

    Returns:
        The exit code of the process.

    Raises:
        Stopped: It was told to stop before it had begun.
        RoomstreamError: What is wrong with the world; carries the exit code.
    """
    if worker.processes > 1:
        return _supervise(kafka, shared, worker)
    return _serve(kafka, shared, worker)


def _serve(kafka: KafkaSettings, shared: SharedSettings, worker: WorkerSettings) -> int:
    stop, wait = stop_on_signals(), worker.release_wait_seconds
    metrics = WorkerMetrics()
    health = Health("release", "partitions", "circuit")
    prefix, group = shared.topic_prefix, worker.consumer_group(shared.topic_prefix)
    with ExitStack() as stack:
        option = env_name(WorkerSettings, "metrics_port")
        port = stack.enter_context(
            closing(Port(shared.listen_host, worker.metrics_port, health, metrics.registry, option))
        )
        stack.enter_context(permitted(kafka, prefix, worker_access(group), stop, wait))
        listings = SameTopic(kafka, Topic.LISTINGS.named(prefix))
        stack.enter_context(closing(listings))
        model = retry(lambda: _model(kafka, shared, worker, metrics, health), stop, wait)
        stack.enter_context(closing(model))
        model.start(wait, stop)
        features = FeatureDrift(shared.cache, metrics)
        review = Review(worker.review_share, worker.review_budget)
        pipeline = Pipeline(prefix, review, worker.explore)

        def answer(records: Sequence[Record]) -> Window:
            listings.check()
            live = model.current()
            rivals = model.challengers.beside(live.manifest.release)
            window = pipeline.run(records, live, datetime.now(UTC), rivals)
            model.challengers.judge(window.live, window.trials)
            features.observe(live.manifest.blobs[ENCODER].digest, window.features)
            return window

        _log.info("serving", delivery=worker.delivery, group=group, port=port.port)
        gc.freeze()  # what is loaded stays: a tenth of a fast engine's time goes into looking at it
        _engine(worker.delivery)(
            kafka,
            prefix,
            worker,
            answer,
            metrics,
            health,
            Watchdog(worker.watchdog_seconds),
            lambda: model.current().manifest.release,
        ).run(stop)
    return ExitCode.DONE


def _engine(delivery: str) -> "type[FaustDelivery] | type[TransactionalDelivery]":
    """One of the two; the clients of the other would take memory and time for nothing."""
    if delivery == "exactly-once":
        from workers.transactional_delivery import TransactionalDelivery

        return TransactionalDelivery
    from workers.faust_delivery import FaustDelivery

    return FaustDelivery


def _model(
    kafka: KafkaSettings,
    shared: SharedSettings,
    worker: WorkerSettings,
    metrics: WorkerMetrics,
    health: Health,
) -> LiveModel:
    return LiveModel(kafka, shared, worker, metrics, health)


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
