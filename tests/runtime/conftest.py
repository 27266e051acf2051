"""What tests of connections need."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who signs certificates here."""
    return trustme.CA()


@pytest.fixture
def cafile(authority: trustme.CA, tmp_path: Path) -> Path:
    """Its certificate."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture
def failed_clients_collected() -> Iterator[None]:
    """
    Collect what kafka-python forgets to close of a connection that fails.

    Its sockets would else be found, with a warning, in whatever test comes later. A module that takes
    this also ignores that warning.
    """
    yield
    gc.collect()
