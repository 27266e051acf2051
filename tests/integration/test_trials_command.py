"""An operator puts a release on trial, sees it, and ends the trial."""

from pathlib import Path

import pytest

from artefacts.store import Store
from roomstream.live import make_live
from runtime.settings import KafkaSettings, SharedSettings
from schemas.errors import ExitCode
from tests.integration.test_command import Command
from tests.releases import tiny_release
from tests.workers.brokers import ON_EMBEDDED


@pytest.fixture
def shared(tmp_path: Path, topics: str) -> SharedSettings:
    """A store and topics of this test."""
    return SharedSettings(
        store=f"file://{tmp_path / 'store'}", cache=tmp_path / "cache", topic_prefix=topics
    )


@pytest.fixture
def roomstream(kafka_settings: KafkaSettings, shared: SharedSettings) -> Command:
    """The command on them."""
    return Command(kafka_settings, shared)


@ON_EMBEDDED
def test_a_trial_is_begun_seen_and_ended(
    roomstream: Command, kafka_settings: KafkaSettings, shared: SharedSettings
) -> None:
    """The live release stays what it is; what is on trial stands beside it with its share."""
    store = Store(shared.store)
    live = tiny_release(store).release
    new = tiny_release(store, scale=11, parent=live).release
    make_live(kafka_settings, shared, live, "the first one")

    begun = roomstream("releases", "promote", new, "--channel", "canary", "--share", "0.25")
    listed = {item["release"]: item for item in roomstream.json("releases", "list")}
    table = roomstream("releases", "list")
    ended = roomstream("releases", "rollback", "--channel", "canary", "--why", "demasiadas dudas")
    after = {item["release"]: item for item in roomstream.json("releases", "list")}
    again = roomstream("releases", "rollback", "--channel", "canary")
    nothing = roomstream("releases", "promote", new, "--channel", "shadow", "--share", "0")

    assert begun.returncode == 0, begun.stderr
    assert "on trial as canary with 25% of the listings" in begun.stdout
    assert (listed[live]["live"], listed[live]["on_trial"]) == (True, {})
    assert (listed[new]["live"], listed[new]["on_trial"]) == (False, {"canary": 0.25})
    assert "canary of 25% since" in " ".join(table.stdout.split())
    assert ended.returncode == 0, ended.stderr
    assert {live: {}, new: {}} == {name: item["on_trial"] for name, item in after.items()}
    assert again.returncode == ExitCode.RELEASE
    assert "nothing to end" in " ".join(again.stderr.split())
    assert nothing.returncode == ExitCode.USAGE
    assert store.pointed("live") == live
