"""The names that workers go by."""

import socket

import pytest

from runtime.settings import load
from schemas.errors import ConfigurationError
from workers.settings import WorkerSettings


def test_a_worker_is_called_as_its_host_is() -> None:
    """A StatefulSet keeps the names of its hosts: each worker takes over from its dead self."""
    assert socket.gethostname() == load(WorkerSettings).slot


@pytest.mark.parametrize("slot", ["a/b", "a b", "ñ", ""])
def test_a_slot_that_kafka_cannot_take_is_refused(slot: str) -> None:
    """Mended in secret, a/b would be the same worker as a-b."""
    with pytest.raises(ConfigurationError, match="WORKER_SLOT: String should match"):
        load(WorkerSettings, slot=slot)


def test_a_group_that_permissions_cannot_name_is_refused() -> None:
    """Transactional ids begin with it as it is, whatever is allowed."""
    with pytest.raises(ConfigurationError, match="WORKER_GROUP: String should match"):
        load(WorkerSettings, group="eu/workers")
