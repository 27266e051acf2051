"""Clusters that may be harmed, and deployments on them."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chaos.cluster import Cluster
from tests.chaos.stage import Delivery, Stage

MakeStage = Callable[[Cluster, Delivery], Stage]


@pytest.fixture(scope="session")
def one_node() -> Iterator[Cluster]:
    """A node that tests may kill, as long as they start it again."""
    with Cluster(1) as cluster:
        yield cluster


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[MakeStage]:
    """Make deployments with topics of their own; all are gone at the end."""
    with ExitStack() as stack:

        def make(cluster: Cluster, delivery: Delivery) -> Stage:
            prefix = f"c{uuid.uuid4().hex[:8]}."
            return stack.enter_context(Stage(cluster, tmp_path / prefix, delivery, prefix))

        yield make
