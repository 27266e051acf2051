"""`roomstream doctor` on what is right, and on what is broken, each in its own way."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from artefacts.manifest import HEAD
from artefacts.store import Store
from roomstream.live import make_live
from roomstream.ports import reserved_port
from runtime.kafka import kafka_arguments
from runtime.settings import KafkaSettings, SharedSettings, load, settings_environment
from tests.integration.commands import run
from tests.releases import tiny_release
from tests.secured_kafka import SecuredKafka
from tests.stores import overwrite_blob

Findings = dict[str, list[dict[str, str]]]


@pytest.fixture
def shared(tmp_path: Path, topic_prefix: str) -> SharedSettings:
    """A store of our own."""
    return SharedSettings(
        store=f"file://{tmp_path / 'store'}", cache=tmp_path / "cache", topic_prefix=topic_prefix
    )


def examined(
    kafka: KafkaSettings, shared: SharedSettings, *arguments: str, **variables: str
) -> tuple[int, Findings]:
    """The exit code, and what was found by area."""
    environment = settings_environment(kafka) | settings_environment(shared) | variables
    done = run(environment, "doctor", "--json", *arguments)
    assert done.stdout, done.stderr
    found: Findings = {}
    for finding in json.loads(done.stdout):
        found.setdefault(finding["area"], []).append(finding)
    return done.returncode, found


def states(found: Findings, area: str) -> set[str]:
    """How an area is."""
    return {finding["state"] for finding in found[area]}


@pytest.fixture
def healthy(kafka_settings: KafkaSettings, topics: str, shared: SharedSettings) -> KafkaSettings:
    """A deployment with nothing wrong."""
    assert topics == shared.topic_prefix
    make_live(kafka_settings, shared, tiny_release(Store(shared.store)).release, "the first one")
    return kafka_settings


def test_a_healthy_deployment_is_well(healthy: KafkaSettings, shared: SharedSettings) -> None:
    """Nothing has failed; one copy of each topic is worth a warning, and no traces stay."""
    code, found = examined(healthy, shared)
    with KafkaAdminClient(**kafka_arguments(healthy)) as admin:
        left = [name for name in admin.list_topics() if "roomstream-doctor" in name]

    assert code == 0, found
    for area in ("connection", "security", "store", "release", "disk", "files", "versions"):
        assert "failed" not in states(found, area), found[area]
    assert "One copy only" in found["topics"][0]["says"]
    assert all(each["next_step"] for area in found for each in found[area] if each["state"] != "ok")
    assert not [name for name in left if name.startswith(shared.topic_prefix)]
    assert not list((Path(shared.store.removeprefix("file://")) / "trials").glob("*"))


@pytest.mark.parametrize("broker", ["kafka_node"], ids=["kafka"], indirect=True)
def test_the_clock_is_compared_with_kafka(healthy: KafkaSettings, shared: SharedSettings) -> None:
    """They are one machine here; the embedded broker would not tell."""
    _, found = examined(healthy, shared)

    assert [finding["state"] for finding in found["clock"]] == ["ok"], found["clock"]


def test_findings_are_for_people_too(healthy: KafkaSettings, shared: SharedSettings) -> None:
    """A line each, with the next step below."""
    environment = settings_environment(healthy) | settings_environment(shared)
    lines = run(environment, "doctor").stdout.splitlines()

    assert lines[0].startswith("ok           connection  Kafka at ")
    assert any(line.strip().startswith("→ ") for line in lines)


@pytest.fixture
def silent() -> Iterator[str]:
    """A port that takes connections and says nothing, as behind some firewalls."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_a_broker_that_says_nothing_hides_nothing_else(silent: str, shared: SharedSettings) -> None:
    """What needs no connection is looked at all the same, all in about half a minute."""
    started = time.monotonic()
    code, found = examined(load(KafkaSettings, bootstrap_servers=silent), shared)

    assert time.monotonic() - started < 45
    assert code == 1
    assert states(found, "connection") == {"failed"}
    for area in ("security", "topics", "release", "clock"):
        assert [finding["says"] for finding in found[area]] == ["No connection."]
    assert states(found, "store") == {"ok"}


def test_a_closed_port_is_told(shared: SharedSettings) -> None:
    """With what to check."""
    with reserved_port() as port:
        code, found = examined(load(KafkaSettings, bootstrap_servers=f"127.0.0.1:{port}"), shared)

    assert code == 1
    assert "Check that it runs" in found["connection"][0]["says"]


def test_missing_topics_and_release_are_told(
    kafka_settings: KafkaSettings, shared: SharedSettings
) -> None:
    """With the commands that make them."""
    code, found = examined(kafka_settings, shared)

    assert code == 1
    assert "roomstream topics create" in found["topics"][0]["next_step"]
    assert states(found, "release") == {"failed"}


@pytest.mark.parametrize("broker", ["kafka_node"], ids=["kafka"], indirect=True)
def test_labels_that_are_forgotten_are_told(healthy: KafkaSettings, shared: SharedSettings) -> None:
    """They are the ground truth: that is a failure, not a warning."""
    name = f"{shared.topic_prefix}labelled"
    resource = ConfigResource(ConfigResourceType.TOPIC, name, {"retention.ms": "1000"})
    with KafkaAdminClient(**kafka_arguments(healthy)) as admin:
        admin.alter_configs([resource])
    code, found = examined(healthy, shared)

    assert code == 1
    (failed,) = [each for each in found["topics"] if each["state"] == "failed"]
    assert f"{name}: retention.ms is 1000, should be -1" in failed["says"]


def test_a_damaged_release_is_told(healthy: KafkaSettings, shared: SharedSettings) -> None:
    """Its digests are compared, not only its presence."""
    store = Store(shared.store)
    manifest = store.manifest(store.releases()[-1])
    overwrite_blob(store, manifest.blobs[HEAD], b"damaged")
    code, found = examined(healthy, shared)

    assert code == 1
    assert "sha256 is" in found["release"][0]["says"]
    assert states(found, "store") == {"ok"}


def test_a_store_that_cannot_be_used_is_told(
    kafka_settings: KafkaSettings, topics: str, tmp_path: Path
) -> None:
    """A file where its folder should be."""
    (tmp_path / "file").write_text("")
    shared = SharedSettings(
        store=f"file://{tmp_path / 'file' / 'store'}", cache=tmp_path, topic_prefix=topics
    )
    code, found = examined(kafka_settings, shared)

    assert code == 1
    assert states(found, "store") == {"failed"}


@pytest.mark.parametrize("broker", ["embedded_broker"], ids=["embedded"], indirect=True)
def test_few_open_files_are_told(kafka_settings: KafkaSettings, shared: SharedSettings) -> None:
    """The limit of this process is that of its child."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        _, found = examined(kafka_settings, shared)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert states(found, "files") == {"failed"}
    assert "ulimit -n" in found["files"][0]["next_step"]


def secured_options(node: SecuredKafka, user: str = "ana", **changed: Any) -> KafkaSettings:
    """A user of the TLS port."""
    return load(KafkaSettings, **(node.options(user=user) | changed))


def test_a_wrong_password_is_told(secured_kafka: SecuredKafka, shared: SharedSettings) -> None:
    """As what it is."""
    code, found = examined(secured_options(secured_kafka, sasl_password="guess"), shared)

    assert code == 1
    assert "the user name or the password is wrong" in found["connection"][0]["says"]


def test_a_certificate_that_is_not_trusted_is_told(
    secured_kafka: SecuredKafka, shared: SharedSettings
) -> None:
    """With the setting to change."""
    code, found = examined(secured_options(secured_kafka, ssl_cafile=None), shared)

    assert code == 1
    assert "KAFKA_SSL_CAFILE" in found["connection"][0]["says"]


def test_the_certificates_end_is_told(secured_kafka: SecuredKafka, shared: SharedSettings) -> None:
    """And who one is."""
    _, found = examined(secured_options(secured_kafka), shared)
    said = " ".join(finding["says"] for finding in found["security"])

    assert "SASL_SSL as User:ana (SCRAM-SHA-512)." in said
    assert "The broker's certificate ends on " in said


def test_missing_permissions_are_told(secured_kafka: SecuredKafka, shared: SharedSettings) -> None:
    """Of the role that was asked for, with the commands that allow them."""
    kafka = secured_options(secured_kafka, "nobody")
    code, found = examined(kafka, shared, "--role", "worker")

    assert code == 1
    (failed,) = [each for each in found["security"] if each["state"] == "failed"]
    assert f"Read on topic {shared.topic_prefix}listings" in failed["says"]
    assert "kafka-acls.sh" in failed["says"]
    assert states(found, "clock") == {"warning"}
    assert "deploy/acls.sh" in found["clock"][0]["next_step"]
