"""An explanation in plain sentences, and its figures as people read them. Pure."""

from collections.abc import Iterator

from artefacts.manifest import FineTuning
from roomstream.explaining.examples import Example, Examples
from roomstream.explaining.explanation import Change, ClassChange, Explanation, Group, Measure, Unit

NOTHING = "—"
GATES = {
    "enough_labels": "enough labels",
    "enough_held_out": "enough held out",
    "accuracy": "accuracy",
    "recall": "recall of every class",
    "calibration": "calibration",
    "baseline": "against TF-IDF",
    "erosion": "against the last proved",
}
ORIGINS = {"held out": "never learned", "learned": "in the replay buffer", "made up": "made up"}


def sentences(explanation: Explanation) -> list[str]:
    """What changed, what for, and whether it may serve; the most telling first."""
    return [
        _parent(explanation),
        *_data(explanation),
        *_quality(explanation),
        *_classes(explanation),
        _gates(explanation),
        *([tuning(explanation.fine_tuning)] if explanation.fine_tuning else []),
        *([answers(explanation.examples)] if explanation.examples else []),
    ]


def answers(examples: Examples) -> str:
    """How many answers changed, and of which listings."""
    if examples.fault:
        return f"No examples of changed answers: {examples.fault}"
    changed = sum(examples.turns.values())
    if not changed:
        return f"No answer changed of {examples.answered:,} {examples.source}."
    turns = examples.turns
    return (
        f"{changed:,} of {examples.answered:,} answers changed ({examples.source}): "
        f"{turns.get('became right', 0):,} became right, {turns.get('became wrong', 0):,} became wrong, "
        f"{turns.get('changed', 0):,} are wrong as before."
    )


def tuning(tuned: FineTuning) -> str:
    """How the encoder was fine-tuned."""
    text = f"The encoder was fine-tuned on {tuned.examples:,} listings ({tuned.why})"
    if not tuned.curve:
        return f"{text}."
    first, last = tuned.curve[0], tuned.curve[-1]
    best = min(tuned.curve, key=lambda each: abs(each.step - tuned.best_step))
    return (
        f"{text}: on {tuned.validated_on:,} others its loss was {first.validation:.3f} at step "
        f"{first.step:,}, {best.validation:.3f} at step {best.step:,}, which is kept, and "
        f"{last.validation:.3f} at the end, step {last.step:,} ({tuned.stopped})."
    )


def learned_as(example: Example) -> str:
    """Where an example is from, in words."""
    return ORIGINS[example.origin]


def percent(share: float | None) -> str:
    """A share."""
    return NOTHING if share is None else f"{share:.1%}"


def points(difference: float | None) -> str:
    """A difference of shares."""
    return NOTHING if difference is None else f"{100 * difference:+.1f} points"


def count(number: float | None) -> str:
    """A number of things."""
    return NOTHING if number is None else f"{number:,.0f}"


def figure(value: float | None, unit: Unit) -> str:
    """A measure's figure."""
    if value is None or unit == "share":
        return percent(value)
    return f"{value:.3f} nats"


def growth(change: Change, unit: Unit) -> str:
    """How much a measure's figure grew."""
    if change.difference is None or unit == "share":
        return points(change.difference)
    return f"{change.difference:+.3f} nats"


def verdict(measure: Measure) -> str:
    """Whether a change is for the better; empty where it does not show."""
    difference = measure.change.difference
    if difference is None or not round(difference, 3):
        return ""
    return "better" if (difference > 0) == (measure.better == "more") else "worse"


def domain(group: Group) -> str:
    """A source or language by name."""
    return group.name or "of unknown source"


def _parent(explanation: Explanation) -> str:
    if explanation.parent is None:
        return "It has no parent: there is nothing to compare it with."
    if not explanation.compared:
        return (
            f"Its parent {explanation.parent} cannot be read from this store: there is nothing to "
            "compare it with."
        )
    encoder = "the same encoder" if explanation.encoder == "the parent's" else "another encoder"
    return f"It comes from {explanation.parent} and has {encoder}."


def _data(explanation: Explanation) -> Iterator[str]:
    labels = sum(each.labels.now or 0 for each in explanation.classes)
    if not explanation.compared:
        yield f"It learned {labels:,.0f} labels."
    else:
        added = [each for each in explanation.classes if each.labels.difference]
        total = sum(each.labels.difference or 0 for each in added)
        by_class = ", ".join(f"{each.name} {each.labels.difference:+,.0f}" for each in _most(added))
        more = ", …" if len(added) > len(_most(added)) else ""
        yield (
            f"It learned {labels:,.0f} labels, {total:,.0f} more than its parent ({by_class}{more})."
            if added
            else f"It learned {labels:,.0f} labels, as many as its parent."
        )
        yield from _taxonomy(explanation.classes)
    deleted, newly = explanation.deleted.now, explanation.deleted.difference
    if deleted:
        since = f", {newly:,.0f} of them since its parent" if newly else ""
        yield f"{deleted:,.0f} of the labels are of listings that were deleted since{since}."


def bounds(measure: Measure) -> str:
    """What a figure is between, such as `0.61 to 0.70`; empty where it was not measured."""
    return " to ".join(figure(each, measure.unit) for each in measure.interval or ())


def _most(classes: list[ClassChange]) -> list[ClassChange]:
    """The classes with most new labels."""
    return sorted(classes, key=lambda each: -abs(each.labels.difference or 0))[:5]


def _taxonomy(classes: list[ClassChange]) -> Iterator[str]:
    new = [each.name for each in classes if each.known and not each.known_before]
    gone = [each.name for each in classes if each.known_before and not each.known]
    if new:
        yield f"It knows {', '.join(new)}, which its parent did not."
    if gone:
        yield f"It no longer answers with {', '.join(gone)}."


def _quality(explanation: Explanation) -> Iterator[str]:
    if not explanation.measures:
        yield "How good it is was not measured: no listing was held out."
        return
    accuracy, bounds = explanation.measures[0].change, explanation.measures[0].interval
    between = (
        f" ({percent(bounds[0])} to {percent(bounds[1])} with 95% confidence)" if bounds else ""
    )
    text = (
        f"Its answers are right for {percent(accuracy.now)}{between}, judged by "
        f"{count(explanation.items.now)} listings that it never learned"
    )
    if accuracy.before is None:
        yield f"{text}."
        return
    yield (
        f"{text}; its parent's were for {percent(accuracy.before)} of {count(explanation.items.before)} "
        "when it was made. The hold-out moves with the stream: the gates compare on the same listings."
    )


def _classes(explanation: Explanation) -> Iterator[str]:
    known = [each for each in explanation.classes if each.recall.share.difference is not None]
    gained = [each for each in known if _rounded(each) > 0]
    lost = [each for each in known if _rounded(each) < 0]
    if gained:
        yield f"Recall grew most for {_moved(max(gained, key=_rounded))}."
    if lost:
        yield f"Recall fell most for {_moved(min(lost, key=_rounded))}."


def _rounded(each: ClassChange) -> float:
    """The difference of recall, to a tenth of a point."""
    return round(each.recall.share.difference or 0.0, 3)


def _moved(each: ClassChange) -> str:
    share = each.recall.share
    return (
        f"{each.name}: {percent(share.before)} before, {percent(share.now)} now, judged by "
        f"{each.recall.items:,} listings"
    )


def _gates(explanation: Explanation) -> str:
    gates = explanation.gates
    failed = [GATES.get(result.gate, result.gate) for result in gates if not result.passed]
    if not gates:
        return "It passed no gates: the trainer did not make it."
    if failed:
        return (
            f"It failed {len(failed)} of {len(gates)} gates: {', '.join(failed)}. The trainer did not "
            "announce it."
        )
    return f"It passed {'the one gate' if len(gates) == 1 else f'all {len(gates)} gates'}."
