"""What a candidate must show before it is announced. Pure: figures in, judgement out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from artefacts.manifest import GateResult

POOLED = "classes with few listings"


@dataclass(frozen=True)
class Bounds:
    """
    How much worse than the live release a candidate may be.

    Attributes:
        max_accuracy_loss: On the hold-out, in [0, 1].
        max_recall_loss: Of a class on the hold-out, in [0, 1].
        min_recall_items: Classes with fewer hold-out listings are judged together.
        noise_items: A loss of so many listings is chance, however large a share of a small
            hold-out it is.
    """

    max_accuracy_loss: float
    max_recall_loss: float
    min_recall_items: int
    noise_items: int

    def allows(self, lost: float, share: float, items: int) -> bool:
        """Whether losing a share of so many listings is within a bound, or chance."""
        return lost <= max(share, self.noise_items / max(1, items)) + 1e-9


def judge_first(
    counts: Mapping[str, int], labels: Sequence[str], per_class: int, in_all: int
) -> list[GateResult]:
    """
    Judge the first release that learned anything: there is none to compare it with.

    Args:
        counts: Labels learned by class.
        labels: The classes that the deployment began with.
        per_class: Enough labels of each of them …
        in_all: … or enough of all together.
    """
    total = sum(counts.values())
    fewest = min((counts.get(label, 0) for label in labels), default=0)
    passed = fewest >= per_class or total >= in_all
    return [
        GateResult(
            "enough_labels",
            passed,
            f"{total} labels, {fewest} of the rarest class; {per_class} of every class or {in_all} in "
            "all are enough",
            {"labels": total, "rarest_class": fewest},
        )
    ]


def judge(
    truth: Sequence[str], candidate: Sequence[str], live: Sequence[str], bounds: Bounds
) -> list[GateResult]:
    """
    Compare a candidate with the live release on the hold-out.

    Args:
        truth: The label of each listing.
        candidate: What the candidate says of it.
        live: What the live release says of it.
        bounds: How much worse the candidate may be.
    """
    return [_accuracy(truth, candidate, live, bounds), _recall(truth, candidate, live, bounds)]


def _accuracy(
    truth: Sequence[str], candidate: Sequence[str], live: Sequence[str], bounds: Bounds
) -> GateResult:
    items = len(truth)
    ours, theirs = _share(truth, candidate), _share(truth, live)
    return GateResult(
        "accuracy",
        bounds.allows(theirs - ours, bounds.max_accuracy_loss, items),
        f"{ours:.1%} of {items} hold-out listings, the live release {theirs:.1%}; at most "
        f"{bounds.max_accuracy_loss:.1%} or {bounds.noise_items} listings may be lost",
        {"candidate": ours, "live": theirs, "items": items},
    )


def _recall(
    truth: Sequence[str], candidate: Sequence[str], live: Sequence[str], bounds: Bounds
) -> GateResult:
    common = {label for label, count in Counter(truth).items() if count >= bounds.min_recall_items}
    rows_of: dict[str, list[int]] = {}
    for row, label in enumerate(truth):
        rows_of.setdefault(label if label in common else POOLED, []).append(row)
    lost = {group: _lost(truth, candidate, live, rows) for group, rows in rows_of.items()}
    beyond = [
        group
        for group, rows in rows_of.items()
        if not bounds.allows(lost[group], bounds.max_recall_loss, len(rows))
    ]
    worst = max(lost, key=lost.__getitem__, default=None)
    if worst is None or lost[worst] <= 0:
        why = "no class loses any"
    else:
        why = f"{', '.join(beyond) or worst} loses {lost[beyond[0] if beyond else worst]:.1%}"
    return GateResult(
        "recall",
        not beyond,
        f"{why}; at most {bounds.max_recall_loss:.1%} or {bounds.noise_items} listings of a class "
        "may be lost",
        {f"lost: {group}": loss for group, loss in lost.items()},
    )


def _lost(
    truth: Sequence[str], candidate: Sequence[str], live: Sequence[str], rows: Sequence[int]
) -> float:
    """How much recall the candidate loses on some rows."""
    right = [truth[row] for row in rows]
    return _share(right, [live[row] for row in rows]) - _share(
        right, [candidate[row] for row in rows]
    )


def _share(truth: Sequence[str], said: Sequence[str]) -> float:
    if not truth:
        return 0.0
    return sum(one == other for one, other in zip(truth, said, strict=True)) / len(truth)
