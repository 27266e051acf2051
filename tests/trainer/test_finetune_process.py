"""Fine-tuning by a real trainer, which is killed on the way; and asking for it by the command."""

import json
import shutil
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from artefacts.manifest import ENCODER, WEIGHTS, Blob, Manifest
from roomstream.brokers import Broker
from roomstream.cli import app
from roomstream.live import make_live
from runtime.settings import KafkaSettings, load, settings_environment
from runtime.topics import create_topics
from tests.processes import eventually
from tests.releases import ROOM_TYPES
from tests.trainer.distilberts import save_model
from tests.trainer.labels import labelled
from tests.trainer.process import Deployment
from trainer.base_import import import_base
from trainer.finetuning.__main__ import fine_tune
from trainer.finetuning.job import JobFolder

SETTINGS = {
    "release_interval_seconds": 0,
    "first_labels_per_class": 1,
    "finetune_every_labels": 0,
    "finetune_steps": 40,
    "max_accuracy_loss": 1,
    "max_recall_loss": 1,
    "max_calibration_loss": 1,
    "noise_items": 1_000,
}
LABELS = 60
PATIENT = 120
"""It runs at the lowest priority: on a busy machine it takes its time."""


@pytest.fixture
def deployment(embedded_broker: Broker, topic_prefix: str, tmp_path: Path) -> Deployment:
    """A tiny DistilBERT is live, and labels are there to learn."""
    kafka = load(KafkaSettings, bootstrap_servers=embedded_broker.bootstrap_servers)
    create_topics(kafka, topic_prefix, partitions=1, replication_factor=1)
    deployment = Deployment(kafka, topic_prefix, tmp_path)
    save_model(tmp_path / "model")
    base = import_base(str(tmp_path / "model"), ROOM_TYPES)
    base.publish(deployment.store)
    make_live(kafka, deployment.shared, base.manifest.release, "the test's base")
    deployment.send(*(labelled(number) for number in range(LABELS)))
    return deployment


def _tuned(deployment: Deployment) -> list[Manifest]:
    manifests = [deployment.store.manifest(each) for each in deployment.store.releases()]
    return [manifest for manifest in manifests if manifest.fine_tuning]


def _command(deployment: Deployment, *arguments: str) -> str:
    variables = {
        **settings_environment(deployment.kafka),
        "ROOMSTREAM_STORE": deployment.shared.store,
        "ROOMSTREAM_TOPIC_PREFIX": deployment.shared.topic_prefix,
    }
    result = CliRunner().invoke(app, ["finetune", *arguments], env=variables)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_asked_for_and_killed_twice_it_ends_in_the_same_release(deployment: Deployment) -> None:
    """After SIGKILLs in training and at its end, encoder and weights are those of an unharmed run."""
    folder = JobFolder(Path(f"{deployment.database}.fine-tuning"))
    twin = JobFolder(deployment.database.with_name("twin"))
    with deployment:
        deployment.ready(**SETTINGS)
        eventually(lambda: deployment.learned() > 0, "the first release is live", 60)
        asked = json.loads(_command(deployment, "--now", "--why", "a new city", "--json"))
        eventually(lambda: folder.job() is not None, "it has begun", PATIENT)
        shutil.copytree(folder.path, twin.path)
        eventually(folder.checkpoint.exists, "there is a checkpoint", PATIENT)
        assert deployment.process is not None
        children = psutil.Process(deployment.process.pid).children()
        deployment.stop(signal=9)
        eventually(lambda: not any(map(_runs, children)), "no orphan goes on", 10)
        deployment.ready(**SETTINGS)
        eventually(lambda: folder.finished or bool(_tuned(deployment)), "it is done", PATIENT)
        deployment.stop(signal=9)
        deployment.ready(**SETTINGS)
        eventually(lambda: bool(deployment.live_manifest().fine_tuning), "it is live", PATIENT)
        eventually(lambda: not folder.path.exists(), "nothing of the job is left", 30)
        tuned, shown = _tuned(deployment), json.loads(_command(deployment, "--json"))
        code = deployment.stop()
    job = twin.job()
    assert job is not None
    fine_tune(twin, job, float("inf"))
    expected = twin.result()

    assert code == 0
    for manifest in tuned:
        assert manifest.blobs[ENCODER] == Blob.of(expected.encoder)
        assert manifest.blobs[WEIGHTS] == Blob.of(expected.weights)
        assert manifest.fine_tuning == expected.figures
    assert expected.figures.why == "requested: a new city"
    assert shown["request"] == asked
    assert shown["possible"]
    assert shown["fine_tuned"][0]["release"] == tuned[0].release
    assert tuned[0].release in _command(deployment)


def _runs(process: psutil.Process) -> bool:
    return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
