"""A release and its parent, with figures."""

import msgspec

from artefacts.manifest import (
    Figure,
    FineTuning,
    GateResult,
    Lineage,
    Losses,
    Manifest,
    Quality,
)
from artefacts.store import Store
from tests.releases import ROOM_TYPES, tiny_release

HOSTILE = "<script>alert('x')</script> & \"quotes\""
"""A class that somebody admitted with a label."""


def pair(store: Store) -> tuple[Manifest, Manifest]:
    """
    Publish a parent, and a release that knows more.

    The parent knows two kinds of room only and takes the others for one of them. The release knows all,
    and a class with markup in its name.
    """
    parent = _with(
        store,
        tiny_release(store, labels=ROOM_TYPES[:2]),
        lineage=Lineage(labels_by_class={"Entire home/apt": 300, "Private room": 200}),
        quality=_quality(0.862, {"Entire home/apt": 0.95, "Private room": 0.9}, {"madrid": 0.86}),
    )
    release = _with(
        store,
        tiny_release(store, labels=[*ROOM_TYPES, HOSTILE], parent=parent.release),
        lineage=Lineage(
            labels_by_class={
                "Entire home/apt": 420,
                "Private room": 200,
                "Shared room": 60,
                HOSTILE: 1,
            },
            deleted=3,
        ),
        quality=_quality(
            0.9,
            {"Entire home/apt": 0.91, "Private room": 0.94, "Shared room": 0.5},
            {"madrid": 0.91, "": 0.8},
        ),
        evaluation=[
            GateResult("accuracy", True, "90.0% of 400, the live release 86.2%"),
            GateResult("recall", False, "Entire home/apt loses 4.0%"),
        ],
        fine_tuning=FineTuning(
            why="2,000 labels since the last one",
            examples=1_800,
            validated_on=200,
            seed=1,
            curve=[
                Losses(0, 0.9, 0.88),
                Losses(100, 0.5, 0.61),
                Losses(200, 0.3, 0.66),
            ],
            best_step=100,
            stopped="overfitting",
        ),
    )
    return parent, release


def _with(store: Store, manifest: Manifest, **figures: object) -> Manifest:
    changed: Manifest = msgspec.structs.replace(manifest, **figures)
    store.publish(changed)
    return changed


def _quality(accuracy: float, recall: dict[str, float], domains: dict[str, float]) -> Quality:
    return Quality(
        items=400,
        accuracy=accuracy,
        intervals={
            "accuracy": (accuracy - 0.03, accuracy + 0.03),
            "macro_f1": (accuracy - 0.26, accuracy - 0.14),
        },
        macro_f1=accuracy - 0.2,
        log_loss=1 - accuracy,
        calibration_error=0.02,
        by_class={name: Figure(share, 100) for name, share in recall.items()},
        by_domain={name: Figure(share, 150) for name, share in domains.items()},
    )
