"""A store, and workers on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from artefacts.store import Store
from roomstream.live import make_live
from runtime.settings import KafkaSettings, SharedSettings
from tests.releases import tiny_release
from tests.workers.processes import Fleet


@pytest.fixture
def shared(tmp_path: Path, topic_prefix: str) -> SharedSettings:
    """A store of our own."""
    return SharedSettings(
        store=f"file://{tmp_path / 'store'}", cache=tmp_path / "cache", topic_prefix=topic_prefix
    )


@pytest.fixture
def store(shared: SharedSettings) -> Store:
    """The same, to publish to."""
    return Store(shared.store)


@pytest.fixture
def live(kafka_settings: KafkaSettings, shared: SharedSettings, store: Store, topics: str) -> str:
    """A tiny release that is announced; its id."""
    assert topics == shared.topic_prefix
    release = tiny_release(store).release
    make_live(kafka_settings, shared, release, "the first one")
    return release


@pytest.fixture
def fleet(kafka_settings: KafkaSettings, shared: SharedSettings, tmp_path: Path) -> Iterator[Fleet]:
    """Workers of this test alone."""
    found = Fleet(kafka_settings, shared, tmp_path)
    yield found
    found.close()
