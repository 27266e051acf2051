"""What a candidate must show before it is announced. Pure: figures in, judgement out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from artefacts.manifest import GateResult
from trainer.evaluation import (
    Answers,
    Bootstrap,
    Figures,
    Flags,
    Truth,
    agree,
    calibration_error,
    mean,
    share_by,
)
from trainer.sequential import Pairs

GATES = (
    "enough_labels",
    "enough_held_out",
    "accuracy",
    "recall",
    "calibration",
    "baseline",
    "erosion",
)
POOLED = "classes with few listings"
ALL = "all classes"
LEAST_HELD_OUT = 20
"""Fewer listings prove nothing against a release that was trained elsewhere."""
CHANCE = 0.05
"""How often chance alone may look as bad as what is held against a candidate."""


@dataclass(frozen=True)
class Bounds:
    """
    How much worse than the live release a candidate may be.

    Small hold-outs decide little: on 50 listings not even an equally good candidate could show that it
    is at most one point worse, and a class of 20 loses five points with one listing. A gate that asked
    for proof would block everything there, one that asked for proof of harm would let everything pass.
    So a loss of at most `noise_items` listings is chance, however large a share it is, and every
    listing beyond counts.

    Attributes:
        max_accuracy_loss: On the hold-out, in [0, 1].
        max_recall_loss: Of a class on the hold-out, in [0, 1].
        max_calibration_loss: How much the expected calibration error may grow, in [0, 1].
        min_recall_items: Classes with fewer hold-out listings are judged together.
        noise_items: A loss of so many listings is chance.
    """

    max_accuracy_loss: float
    max_recall_loss: float
    max_calibration_loss: float
    min_recall_items: int
    noise_items: int

    def allows(self, lost: float, share: float, items: int) -> bool:
        """Whether losing a share of so many listings is within a bound, or chance."""
        return lost <= max(share, self.noise_items / max(1, items)) + 1e-9


def judge_first(
    counts: Mapping[str, int], labels: Sequence[str], per_class: int, in_all: int
) -> list[GateResult]:
    """
    Judge the first release of what was learned here: has it learned enough to be compared at all?

    Args:
        counts: Labels learned by class.
        labels: The classes of the live release, which the deployment began with.
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


def enough_held_out(items: int, least: int) -> GateResult:
    """Whether so many hold-out listings can prove anything."""
    return GateResult(
        "enough_held_out",
        items >= least,
        f"{items} listings are held out, and the live release was trained on others than this trainer "
        f"has learned: {least} are enough to prove a candidate",
        {"items": items},
    )


def judge(
    truth: Truth,
    candidate: Answers,
    live: Answers,
    baseline: Sequence[str] | None,
    bounds: Bounds,
    lead: Pairs = Pairs(),  # noqa: B008 - it cannot be changed
) -> list[GateResult]:
    """
    Compare a candidate with the live release and with a baseline on the hold-out.

    Args:
        truth: What the listings are.
        candidate: What the candidate says of them.
        live: What the live release says of them.
        baseline: What the baseline says of them; None: there is none yet.
        bounds: How much worse the candidate may be.
        lead: What the learner that the candidate was made of and the live release said of labels since
            that is live, before the learner learned them.
    """
    if not len(truth):
        why = "no listing is held out yet: nothing speaks against the candidate"
        return [GateResult(gate, True, why) for gate in GATES[2:6]]
    resamples = Bootstrap(truth)
    return [
        _accuracy(truth, candidate.right(truth), live.right(truth), bounds, resamples, lead),
        _recall(truth, candidate.right(truth), live.right(truth), bounds),
        _calibration(truth, candidate, live, bounds, resamples),
        _baseline(truth, candidate, live, baseline, bounds, resamples),
    ]


def judge_erosion(
    truth: Truth, candidate: Answers, live: Answers, proved: Answers, bounds: Bounds
) -> GateResult:
    """
    Compare a candidate with an older release as well, lest many losses that pass for chance add up.

    An older release differs in more answers, so that chance makes the difference larger. Hence a loss
    counts only where it is beyond the bound with 95% confidence, and where the candidate loses against
    the live release too: one that does not is no worse than what serves already.

    Args:
        truth: What the listings are.
        candidate: What the candidate says of them.
        live: What the live release says of them.
        proved: What the last release that labels have proved says of them.
        bounds: How much worse the candidate may be.
    """
    resamples, labels = Bootstrap(truth), np.array(truth.labels)
    right = candidate.right(truth).astype(float)
    gained, of_late = right - proved.right(truth), right - live.right(truth)
    groups = {ALL: np.ones(len(truth), bool)}
    groups |= {label: labels == label for label in proved.classes if label in truth.labels}

    def eroded(group: str) -> bool:
        members = groups[group]
        bound = bounds.max_accuracy_loss if group == ALL else bounds.max_recall_loss
        highest = np.quantile(resamples.means((gained + bound) * members), 1 - CHANCE)
        return bool(highest < 0 and mean(of_late * members, truth) < 0)

    lost = {
        group: -float(np.average(gained, weights=truth.weights * members))
        for group, members in groups.items()
    }
    beyond = [group for group in groups if eroded(group)]
    worst = max(beyond or lost, key=lost.__getitem__)
    return GateResult(
        "erosion",
        not beyond,
        f"against the last release that labels have proved, {', '.join(beyond) or worst} loses "
        f"{lost[worst]:.1%}; with 95% confidence {bounds.max_accuracy_loss:.1%} of all and "
        f"{bounds.max_recall_loss:.1%} of a class may be lost by and by",
        {f"lost: {group}": loss for group, loss in lost.items()},
    )


def _accuracy(
    truth: Truth,
    candidate: Flags,
    live: Flags,
    bounds: Bounds,
    resamples: Bootstrap,
    lead: Pairs,
) -> GateResult:
    """
    The difference's lower bound of 95% confidence must be above the bound, or the loss chance.

    The live release is the best of many that were judged by the same hold-out, so that it looks better
    there than it is, and the more so the fewer listings there are. Labels since it is live know nothing
    of that: where the hold-out alone shows no loss beyond the bound, they count like its listings.
    """
    gained = candidate.astype(float) - live
    of_holdout = resamples.means(gained)
    lowest = float(np.quantile(of_holdout, CHANCE))
    lowest_of_all = float(np.quantile(_with_fresh(of_holdout, len(truth), lead), CHANCE))
    ours, theirs = mean(candidate, truth), mean(live, truth)
    lost, least = -int(gained.sum()), -bounds.max_accuracy_loss - 1e-9
    passed = (
        lowest >= least
        or lost <= bounds.noise_items
        or (ours - theirs >= least and lowest_of_all >= least)
    )
    fresh = f" ({100 * lowest_of_all:+.1f} with {lead.labels} fresh labels)" if lead.labels else ""
    return GateResult(
        "accuracy",
        passed,
        f"{ours:.1%} of {len(truth)} hold-out listings, the live release {theirs:.1%}; with 95% "
        f"confidence the difference is at least {100 * lowest:+.1f} points{fresh}, and must be above "
        f"{-100 * bounds.max_accuracy_loss:.1f} or cost at most {bounds.noise_items} listings",
        {
            "candidate": ours,
            "live": theirs,
            "difference": ours - theirs,
            "lower_bound": lowest,
            "lower_bound_with_fresh": lowest_of_all,
            "items": len(truth),
            "fresh": lead.labels,
        },
    )


def _with_fresh(of_holdout: Figures, items: int, lead: Pairs) -> Figures:
    """Differences on the hold-out, resample by resample, joined with resamples of fresh labels."""
    if not lead.labels:
        return of_holdout
    shares = np.array([lead.wins, lead.losses, lead.ties]) / lead.labels
    drawn = np.random.default_rng(0).multinomial(lead.labels, shares, len(of_holdout))
    fresh = drawn[:, 0] - drawn[:, 1]
    joined: Figures = (items * of_holdout + fresh) / (items + lead.labels)
    return joined


def _recall(truth: Truth, candidate: Flags, live: Flags, bounds: Bounds) -> GateResult:
    counts = Counter(truth.labels)
    groups = [
        label if counts[label] >= bounds.min_recall_items else POOLED for label in truth.labels
    ]
    ours, theirs = share_by(groups, candidate), share_by(groups, live)
    lost = {group: share - ours[group][0] for group, (share, _) in theirs.items()}
    beyond = [
        group
        for group, (_, items) in ours.items()
        if not bounds.allows(lost[group], bounds.max_recall_loss, items)
    ]
    worst = max(beyond or lost, key=lost.__getitem__)
    loses = f"{', '.join(beyond) or worst} loses {lost[worst]:.1%}"
    return GateResult(
        "recall",
        not beyond,
        f"{loses if lost[worst] > 0 else 'no class loses any'}; at most "
        f"{bounds.max_recall_loss:.1%} or {bounds.noise_items} listings of a class may be lost",
        {f"lost: {group}": loss for group, loss in lost.items()},
    )


def _calibration(
    truth: Truth, candidate: Answers, live: Answers, bounds: Bounds, resamples: Bootstrap
) -> GateResult:
    """The error must not grow by more than the bound, unless chance alone makes it grow."""
    sides = [(side.confidence, side.right(truth)) for side in (candidate, live)]
    ours, theirs = (calibration_error(*side, truth) for side in sides)

    def chance_explains() -> bool:
        of_ours, of_theirs = (resamples.calibration_errors(*side) for side in sides)
        return bool(np.quantile(of_ours - of_theirs, CHANCE) <= 0)

    within = bounds.allows(ours - theirs, bounds.max_calibration_loss, len(truth))
    return GateResult(
        "calibration",
        within or chance_explains(),
        f"confidence is wrong by {100 * ours:.1f} points on average, the live release's by "
        f"{100 * theirs:.1f}; it may be wrong by {100 * bounds.max_calibration_loss:.1f} more, or "
        f"{bounds.noise_items} listings, or what chance explains",
        {"candidate": ours, "live": theirs, "growth": ours - theirs},
    )


def _baseline(
    truth: Truth,
    candidate: Answers,
    live: Answers,
    baseline: Sequence[str] | None,
    bounds: Bounds,
    resamples: Bootstrap,
) -> GateResult:
    """
    A candidate that is worse than the baseline must not take the place of a release that is not.

    Where the live release is behind as well, one that is less so is an improvement.
    """
    if baseline is None:
        return GateResult("baseline", True, "too few labels to fit a baseline")
    right = agree(baseline, truth.labels)
    gained = candidate.right(truth).astype(float) - right
    highest = float(np.quantile(resamples.means(gained), 1 - CHANCE))
    ours, theirs, of_baseline = (
        mean(flags, truth) for flags in (candidate.right(truth), live.right(truth), right)
    )
    keeps_up = highest >= 0 or -int(gained.sum()) <= bounds.noise_items
    behind_less = theirs <= ours < of_baseline
    why = f"{ours:.1%}, TF-IDF with logistic regression {of_baseline:.1%}"
    if not keeps_up:
        why += f", the live release {theirs:.1%}"
    return GateResult(
        "baseline",
        keeps_up or behind_less,
        why,
        {"candidate": ours, "baseline": of_baseline, "upper_bound": highest},
    )
