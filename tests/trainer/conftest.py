"""A deployment for tests with a real trainer."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.settings import KafkaSettings
from tests.trainer.process import Deployment


@pytest.fixture
def deployment(kafka_settings: KafkaSettings, topics: str, tmp_path: Path) -> Iterator[Deployment]:
    """Topics, a store and a base release that knows nothing."""
    with Deployment(kafka_settings, topics, tmp_path) as deployment:
        deployment.base()
        yield deployment
