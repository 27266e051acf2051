"""Addresses, ids and digests of a store: what is wrong with one is told with the next step."""

import importlib.util
from datetime import UTC, datetime, timedelta, timezone

import pytest

from artefacts.errors import DigestMismatch
from artefacts.manifest import Blob
from artefacts.store import Store, check_digest, new_release_id
from schemas.errors import ConfigurationError


@pytest.mark.parametrize(
    ("address", "package", "extra"),
    [
        ("s3://bucket/x", "s3fs", "s3"),
        ("s3a://bucket", "s3fs", "s3"),
        ("gs://bucket/x", "gcsfs", "gcs"),
        ("gcs://bucket", "gcsfs", "gcs"),
    ],
)
def test_an_object_store_without_its_package_names_the_extra(
    address: str, package: str, extra: str
) -> None:
    """The message is the command that mends it."""
    if importlib.util.find_spec(package):
        pytest.skip(f"{package} is installed")

    with pytest.raises(ConfigurationError, match=rf"Run pip install 'roomstream\[{extra}\]'"):
        Store(address)


@pytest.mark.parametrize(
    "address", ["", "/folder", "folder", "nowhere://x", "zip://x", "c:\\store"]
)
def test_what_is_no_address_is_told(address: str) -> None:
    """Above all a plain path, which other machines would read as another place."""
    with pytest.raises(ConfigurationError, match=r"is not an address.*Use file:///folder"):
        Store(address)


def test_release_ids_sort_by_time() -> None:
    """Whatever the time zone of the process that makes them; the end tells heads apart."""
    head, other = Blob.of(b"head"), Blob.of(b"other")
    moment = datetime(2026, 11, 24, 23, 59, 59, 999_999, tzinfo=UTC)
    elsewhere = moment.astimezone(timezone(timedelta(hours=9)))
    names = [new_release_id(moment + timedelta(milliseconds=step), head) for step in range(5)]

    assert names == sorted(names)
    assert new_release_id(elsewhere, head) == names[0]
    assert names[0] == f"20261124T235959.999Z-{head.digest[:8]}"
    assert names[0] != new_release_id(moment, other)


def test_a_digest_that_differs_is_told() -> None:
    """Both digests and the next step stand in the message."""
    promised = "0" * 64
    check_digest("x", b"abc", Blob.of(b"abc").digest)

    with pytest.raises(DigestMismatch, match=r"x: sha256 is ba7816bf8f01…, promised was 0{12}…"):
        check_digest("x", b"abc", promised)
