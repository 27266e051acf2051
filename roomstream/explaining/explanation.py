"""What a release changed against its parent. Pure: manifests in, figures out."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from artefacts.manifest import ENCODER, Figure, FineTuning, GateResult, Manifest, Quality
from roomstream.explaining.examples import Examples

Unit = Literal["share", "nats"]
"""Shares are in [0, 1]."""

Encoder = Literal["the parent's", "another"]


class Change(msgspec.Struct, frozen=True):
    """A figure of the parent and of the release; None where there is none."""

    before: float | None
    now: float | None

    @property
    def known(self) -> bool:
        """Whether there is any."""
        return self.before is not None or self.now is not None

    @property
    def difference(self) -> float | None:
        """How much it grew; None where there is nothing to compare."""
        if self.before is None or self.now is None:
            return None
        return self.now - self.before


class Measure(msgspec.Struct, frozen=True):
    """
    One measure of quality.

    Attributes:
        name: As people call it.
        unit: What it is measured in.
        better: Whether more is better, or less.
        change: The parent's figure and the release's.
        interval: Bounds of the release's, with 95% confidence; None if they were not measured.
    """

    name: str
    unit: Unit
    better: Literal["more", "less"]
    change: Change
    interval: tuple[float, float] | None


class Group(msgspec.Struct, frozen=True):
    """
    The hold-out listings of a class or a domain.

    Attributes:
        name: The class, the source or the language; empty where it is unknown.
        items: How many listings the release was judged by.
        items_before: How many its parent was judged by.
        share: The share of right answers among them, in [0, 1].
    """

    name: str
    items: int
    items_before: int
    share: Change


class ClassChange(msgspec.Struct, frozen=True):
    """
    A class.

    Attributes:
        name: The label.
        labels: How many labels of it were learned.
        recall: Its hold-out listings and the share of them that were recognised.
        known: Whether the release answers with it …
        known_before: … and whether its parent did.
    """

    name: str
    labels: Change
    recall: Group
    known: bool
    known_before: bool


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """
    A release beside its parent.

    Attributes:
        release: Its id.
        parent: That of the release it was learned from, if any.
        compared: Whether the store still has the parent; without it every `before` is None.
        encoder: Whether the encoder is the parent's; None where that is unknown.
        classes: In the order of the release's labels; those that it no longer knows come last.
        domains: Sources or languages, those with most listings first.
        deleted: How many learned labels are of listings that were deleted since.
        items: How many hold-out listings each was judged by.
        measures: Accuracy, macro-F1, log loss and calibration error; none if nothing was measured.
        gates: What it had to show before it was announced.
        fine_tuning: How its encoder was fine-tuned, if it was.
        examples: Answers that changed, if they were looked for.
    """

    release: str
    parent: str | None
    compared: bool
    encoder: Encoder | None
    classes: list[ClassChange]
    domains: list[Group]
    deleted: Change
    items: Change
    measures: list[Measure]
    gates: list[GateResult]
    fine_tuning: FineTuning | None
    examples: Examples | None


def explain(
    manifest: Manifest, parent: Manifest | None, examples: Examples | None = None
) -> Explanation:
    """
    Put a release beside its parent.

    Args:
        manifest: The release.
        parent: That of its parent; None if it has none, or the store has it no longer.
        examples: Answers that changed.
    """
    now, before = manifest.quality, parent.quality if parent else None
    return Explanation(
        release=manifest.release,
        parent=manifest.parent,
        compared=parent is not None,
        encoder=_encoder(manifest, parent),
        classes=_classes(manifest, parent),
        domains=_domains(now, before),
        deleted=Change(parent.lineage.deleted if parent else None, manifest.lineage.deleted),
        items=Change(before.items if before else None, now.items if now else None),
        measures=_measures(now, before) if now else [],
        gates=manifest.evaluation,
        fine_tuning=manifest.fine_tuning,
        examples=examples,
    )


def _encoder(manifest: Manifest, parent: Manifest | None) -> Encoder | None:
    if parent is None:
        return None
    same = manifest.blobs[ENCODER].digest == parent.blobs[ENCODER].digest
    return "the parent's" if same else "another"


def _classes(manifest: Manifest, parent: Manifest | None) -> list[ClassChange]:
    learned = manifest.lineage.labels_by_class
    learned_before = parent.lineage.labels_by_class if parent else {}
    now = manifest.quality.by_class if manifest.quality else {}
    before = parent.quality.by_class if parent and parent.quality else {}
    known_before = parent.labels if parent else []
    names = dict.fromkeys([*manifest.labels, *known_before, *learned, *now])
    return [
        ClassChange(
            name,
            Change(learned_before.get(name, 0) if parent else None, learned.get(name, 0)),
            _group(name, now, before),
            name in manifest.labels,
            name in known_before,
        )
        for name in names
    ]


def _domains(now: Quality | None, before: Quality | None) -> list[Group]:
    ours, theirs = now.by_domain if now else {}, before.by_domain if before else {}
    return [_group(name, ours, theirs) for name in dict.fromkeys([*ours, *theirs])]


def _group(name: str, now: Mapping[str, Figure], before: Mapping[str, Figure]) -> Group:
    ours, theirs = now.get(name), before.get(name)
    return Group(
        name,
        ours.items if ours else 0,
        theirs.items if theirs else 0,
        Change(theirs.share if theirs else None, ours.share if ours else None),
    )


def _measures(now: Quality, before: Quality | None) -> list[Measure]:
    def measure(name: str, unit: Unit, better: Literal["more", "less"], figure: str) -> Measure:
        change = Change(getattr(before, figure) if before else None, getattr(now, figure))
        return Measure(name, unit, better, change, now.intervals.get(figure))

    return [
        measure("accuracy", "share", "more", "accuracy"),
        measure("macro-F1", "share", "more", "macro_f1"),
        measure("log loss", "nats", "less", "log_loss"),
        measure("calibration error", "share", "less", "calibration_error"),
    ]
