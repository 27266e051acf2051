"""What tests of failing connections need."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture
def failed_clients_collected() -> Iterator[None]:
    """
    Collect what kafka-python forgets to close of a connection that fails.

    Its sockets would else be found, with a warning, in whatever test comes later. A module that takes
    this also ignores that warning.
    """
    yield
    gc.collect()
