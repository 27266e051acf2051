"""Clusters that may be harmed, and deployments on them."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chaos.cluster import Cluster
from tests.chaos.stage import Delivery, Stage
from tests.conftest import KAFKA_HOME

MakeStage = Callable[[Cluster, Delivery], Stage]


@pytest.fixture(scope="session")
def one_node() -> Iterator[Cluster]:
    """A node that tests may kill, as long as they start it again."""
    with _cluster(1) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def three_nodes() -> Iterator[Cluster]:
    """Three combined nodes."""
    with _cluster(3) as cluster:
        yield cluster


def _cluster(size: int) -> Cluster:
    if not KAFKA_HOME.is_dir():
        pytest.skip("no Apache Kafka: set KAFKA_HOME to an unpacked Kafka of 3.9 or later")
    return Cluster(size)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[MakeStage]:
    """Make deployments with topics of their own; all are gone at the end."""
    with ExitStack() as stack:

        def make(cluster: Cluster, delivery: Delivery) -> Stage:
            prefix = f"c{uuid.uuid4().hex[:8]}."
            return stack.enter_context(Stage(cluster, tmp_path / prefix, delivery, prefix))

        yield make
