"""A release that does not keep what its manifest promises never loads."""

import uuid
from collections.abc import Callable

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from artefacts.classifier import GOLDEN_TOLERANCE, Classifier
from artefacts.errors import DigestMismatch, ReleaseMissing, ReleaseRefused
from artefacts.manifest import ENCODER, HEAD, ROLES, TOKENIZER, Golden, Manifest
from artefacts.store import Store
from tests.releases import DIMENSIONS, KABOOM, ROOM_TYPES, tiny_head, tiny_release
from tests.stores import overwrite_blob
from trainer.heads import linear_head

Change = Callable[[Manifest], Manifest]


@pytest.fixture
def store() -> Store:
    return Store(f"memory://{uuid.uuid4().hex}")


def changed(manifest: Manifest, **fields: object) -> Manifest:
    return msgspec.structs.replace(manifest, **fields)


def with_part(store: Store, role: str, data: bytes) -> Manifest:
    """A tiny release with another file in it, honestly named by its digest."""
    manifest = tiny_release(store)
    return changed(manifest, blobs=manifest.blobs | {role: store.put(data)})


def _linear(weights: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> bytes:
    return linear_head(weights, np.zeros(weights.shape[1], np.float32))


@pytest.mark.parametrize(
    "break_it",
    [
        lambda manifest: changed(manifest, feature_dimensions=9),
        lambda manifest: changed(manifest, labels=[*ROOM_TYPES, "Boat"], golden=[]),
        lambda manifest: changed(manifest, labels=list(ROOM_TYPES[:3]), golden=[]),
    ],
    ids=["features", "more labels", "fewer labels"],
)
def test_other_widths_than_promised_are_refused(store: Store, break_it: Change) -> None:
    """A head for other labels, or on another encoder, is told with both widths."""
    with pytest.raises(ReleaseRefused, match="its manifest says"):
        Classifier.load(break_it(tiny_release(store)), store.get)


@pytest.mark.parametrize("offset", [2 * GOLDEN_TOLERANCE, -1.0, float("nan")])
def test_a_machine_that_computes_differently_is_refused(store: Store, offset: float) -> None:
    """One logit of one golden input that differs by more than the tolerance is enough."""
    manifest = tiny_release(store)
    first, *rest = manifest.golden
    wrong = Golden(first.text, [*first.logits[:-1], first.logits[-1] + offset])

    with pytest.raises(ReleaseRefused, match=f"answers '{first.text}' with the logits"):
        Classifier.load(changed(manifest, golden=[*rest, wrong]), store.get)


def test_rounding_is_not_refused(store: Store) -> None:
    """Another processor may differ in the last digits."""
    manifest = tiny_release(store)
    near = [
        Golden(golden.text, [logit + GOLDEN_TOLERANCE / 2 for logit in golden.logits])
        for golden in manifest.golden
    ]

    assert near == Classifier.load(changed(manifest, golden=near), store.get).manifest.golden


@pytest.mark.parametrize("golden", [[], [Golden(KABOOM, [0.0] * 4)]])
def test_a_release_that_cannot_run_here_is_refused(store: Store, golden: list[Golden]) -> None:
    """A head that gives no numbers is told when it is loaded, with or without golden inputs."""
    head = np.full((DIMENSIONS, 4), np.nan, np.float32)
    manifest = changed(with_part(store, HEAD, _linear(head)), golden=golden)

    with pytest.raises(ReleaseRefused, match="cannot run here"):
        Classifier.load(manifest, store.get)


def test_scores_that_are_no_probabilities_are_refused(store: Store) -> None:
    """A head without softmax would send answers that no reader accepts."""
    head = onnx.load_from_string(_linear(np.eye(DIMENSIONS, 4, dtype=np.float32)))
    (softmax,) = [node for node in head.graph.node if "probabilities" in node.output]
    softmax.CopyFrom(helper.make_node("Identity", ["logits"], ["probabilities"]))

    with pytest.raises(ReleaseRefused, match="no probabilities"):
        Classifier.load(
            changed(with_part(store, HEAD, head.SerializeToString()), golden=[]), store.get
        )


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("damage", [b"", b"garbage", lambda data: data[: len(data) // 2]])
def test_a_damaged_part_is_refused(
    store: Store, role: str, damage: bytes | Callable[[bytes], bytes]
) -> None:
    """A part that was damaged before it was named by its digest passes no load either."""
    data = store.get(tiny_release(store).blobs[role])
    broken = damage if isinstance(damage, bytes) else damage(data)

    with pytest.raises(ReleaseRefused):
        Classifier.load(with_part(store, role, broken), store.get)


@pytest.mark.parametrize("role", ROLES)
def test_other_bytes_than_promised_are_refused(store: Store, role: str) -> None:
    """Every part is checked against its digest."""
    manifest = tiny_release(store)
    overwrite_blob(store, manifest.blobs[role], b"other")

    with pytest.raises(DigestMismatch):
        Classifier.load(manifest, store.get)


def test_a_missing_part_is_told(store: Store) -> None:
    """A store that lost a blob cannot serve the release."""
    manifest = tiny_release(store)

    with pytest.raises(ReleaseMissing):
        Classifier.load(manifest, Store(f"memory://{uuid.uuid4().hex}").get)


def test_a_model_with_data_outside_is_refused(store: Store) -> None:
    """The guard stands before the session, which would read the file."""
    head = onnx.load_from_string(tiny_head())
    tensor = head.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")

    with pytest.raises(ReleaseRefused, match="external data"):
        Classifier.load(with_part(store, HEAD, head.SerializeToString()), store.get)


def test_mixed_up_parts_are_refused(store: Store) -> None:
    """An encoder where the head should be is told by its inputs."""
    manifest = tiny_release(store)
    blobs = manifest.blobs
    swapped = {ENCODER: blobs[HEAD], HEAD: blobs[ENCODER], TOKENIZER: blobs[TOKENIZER]}

    with pytest.raises(ReleaseRefused, match=r"encoder\.onnx has the inputs"):
        Classifier.load(changed(manifest, blobs=swapped), store.get)
