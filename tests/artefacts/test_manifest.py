"""Manifests come back as they were written, and those that contradict themselves are refused."""

import contextlib
import hashlib
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artefacts.errors import ReleaseRefused
from artefacts.manifest import (
    ENCODER,
    HEAD,
    ROLES,
    TOKENIZER,
    Blob,
    GateResult,
    Golden,
    Lineage,
    Manifest,
    OffsetRange,
    decode_manifest,
)
from tests import strategies

numbers = st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(0, 2**53)
blobs = st.builds(Blob.of, st.binary(max_size=20))
ranges = st.builds(
    OffsetRange, topic=st.text(max_size=20), partition=counts, first=counts, next=counts
)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """Valid manifests."""
    labels = draw(st.lists(strategies.labels, min_size=1, max_size=4, unique=True))
    rows = st.lists(numbers, min_size=len(labels), max_size=len(labels))
    words = st.text(strategies.CHARACTERS, max_size=20)
    return Manifest(
        release=draw(st.from_regex(r"[0-9A-Za-z][0-9A-Za-z._-]{0,99}", fullmatch=True)),
        created_at=draw(strategies.times),
        labels=labels,
        max_length=draw(st.integers(3, 512)),
        feature_dimensions=draw(st.integers(1, 1_024)),
        temperature=draw(st.floats(1e-6, 1e6)),
        class_prior=draw(st.just([]) | rows),
        review_below=draw(strategies.probabilities),
        blobs={role: draw(blobs) for role in draw(st.permutations(ROLES))},
        parent=draw(st.none() | words),
        base_model=draw(words),
        learner=draw(words),
        lineage=Lineage(draw(st.lists(ranges, max_size=2)), draw(st.dictionaries(words, counts))),
        evaluation=[GateResult("g", True, draw(words), draw(st.dictionaries(words, numbers)))],
        golden=draw(st.lists(st.builds(Golden, words, rows), max_size=2)),
        versions=draw(st.dictionaries(words, words, max_size=3)),
    )


WHOLE = Manifest(
    release="20261124T040140.123Z-3f2a9c1b",
    created_at=strategies.NOON,
    labels=["Private room", "Shared room"],
    max_length=16,
    feature_dimensions=8,
    class_prior=[0.75, 0.25],
    review_below=0.6,
    blobs={role: Blob.of(role.encode()) for role in ROLES},
    base_model="tiny",
    learner="tiny",
    golden=[Golden("Habitación", [1.5, -0.5])],
)
Change = Callable[[dict[str, Any]], object]


def changed(change: Change) -> bytes:
    """The JSON of a whole manifest after a change."""
    fields = json.loads(WHOLE.encode())
    change(fields)
    return json.dumps(fields).encode()


@given(manifest=manifests())
def test_a_manifest_comes_back_as_it_was(manifest: Manifest) -> None:
    """Every field survives, and writing it again gives the same bytes and digest."""
    back = decode_manifest(manifest.encode())

    assert manifest == back
    assert manifest.encode() == back.encode()
    assert manifest.digest() == back.digest() == hashlib.sha256(manifest.encode()).hexdigest()


def test_the_digest_does_not_depend_on_the_order_of_parts() -> None:
    """Two processes that name the same parts announce the same digest."""
    shuffled = msgspec.structs.replace(WHOLE, blobs=dict(reversed(WHOLE.blobs.items())))

    assert list(shuffled.blobs) != list(WHOLE.blobs)
    assert WHOLE.digest() == shuffled.digest()


def test_a_manifest_is_readable_by_people() -> None:
    """It is indented JSON with its keys in order."""
    text = WHOLE.encode().decode()

    assert json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False) == text


def test_unknown_fields_are_ignored() -> None:
    """A newer trainer may say more."""
    assert decode_manifest(changed(lambda fields: fields.update(signature="abc"))) == WHOLE


@pytest.mark.parametrize("role", [ENCODER, HEAD, TOKENIZER])
def test_a_missing_part_is_named(role: str) -> None:
    """A release without one of its three files is refused."""
    with pytest.raises(ReleaseRefused, match=f"{WHOLE.release} names no {role}"):
        decode_manifest(changed(lambda fields: fields["blobs"].pop(role)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.update(labels=["a", "a"]), "names a label twice"),
        (lambda f: f["golden"][0].update(logits=[1]), "golden logits that are not one per label"),
        (lambda f: f["golden"][0].update(logits=[1, 2, 3]), "golden logits that are not one per"),
        (lambda f: f.update(class_prior=[1.0]), "class prior that is not one share per label"),
        (lambda f: f.update(labels=[]), r"`\$\.labels`"),
        (lambda f: f.update(labels=["a", " "]), r"`\$\.labels\[1\]`"),
        (lambda f: f.update(labels=["a", "x" * 101]), r"`\$\.labels\[1\]`"),
        (lambda f: f.update(max_length=2), r"`\$\.max_length`"),
        (lambda f: f.update(feature_dimensions=0), r"`\$\.feature_dimensions`"),
        (lambda f: f.update(temperature=0), r"`\$\.temperature`"),
        (lambda f: f.update(review_below=1.1), r"`\$\.review_below`"),
        (lambda f: f.update(created_at="2026-11-24T12:00:00"), r"`\$\.created_at`"),
        (lambda f: f.update(release="../live"), r"`\$\.release`"),
        (lambda f: f.update(release=".hidden"), r"`\$\.release`"),
        (lambda f: f.update(release="r-1\n"), r"`\$\.release`"),
        (lambda f: f.update(release=""), r"`\$\.release`"),
        (lambda f: f["blobs"][HEAD].update(digest="0" * 63), "`"),
        (lambda f: f["blobs"][HEAD].update(digest="0" * 64 + "\n"), "`"),
        (lambda f: f["blobs"][HEAD].update(digest="../../../etc/passwd"), "`"),
        (lambda f: f["blobs"][HEAD].update(size_bytes=-1), "`"),
        (lambda f: f["golden"][0].update(logits=[None, 1]), r"`\$\.golden\[0\]\.logits\[0\]`"),
        (lambda f: f.pop("learner"), "missing required field `learner`"),
    ],
)
def test_a_contradiction_is_refused(change: Change, message: str) -> None:
    """What a worker could not keep is refused before anything is loaded."""
    with pytest.raises(ReleaseRefused, match=message):
        decode_manifest(changed(change))


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b'{"release": "\xff"}', b"[" * 99_999])
def test_garbage_is_refused(data: bytes) -> None:
    """What is not a manifest is refused with the next step."""
    with pytest.raises(ReleaseRefused, match=r"cannot be read.*Publish it again"):
        decode_manifest(data)


@given(data=st.binary(max_size=200) | strategies.damaged(WHOLE.encode()))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    """Whatever the bytes are, a manifest is read or refused."""
    with contextlib.suppress(ReleaseRefused):
        decode_manifest(data)


def test_a_blob_is_described_by_digest_and_size() -> None:
    """SHA-256 in hexadecimal, and bytes."""
    assert Blob(hashlib.sha256(b"abc").hexdigest(), 3) == Blob.of(b"abc")
