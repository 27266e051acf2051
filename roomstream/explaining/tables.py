"""An explanation as tables, for a terminal as well as for a page. Pure."""

from dataclasses import dataclass

from roomstream.explaining import words
from roomstream.explaining.explanation import ClassChange, Explanation, Group
from roomstream.explaining.words import count, percent


@dataclass(frozen=True)
class Table:
    """Rows of text under their columns; the first cell of a row is its name."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def measures(explanation: Explanation) -> Table:
    """Quality in all."""
    return Table(
        "Quality",
        ("measure", "parent", "now", "with 95% confidence", "change", ""),
        [
            (
                measure.name,
                words.figure(measure.change.before, measure.unit),
                words.figure(measure.change.now, measure.unit),
                words.bounds(measure),
                words.growth(measure.change, measure.unit),
                words.verdict(measure),
            )
            for measure in explanation.measures
        ],
    )


def classes(explanation: Explanation) -> Table:
    """What was learned of every class, and how well it is recognised."""
    return Table(
        "Classes",
        (
            "class",
            "labels of parent",
            "labels now",
            "added",
            "recall of parent",
            "recall now",
            "change in points",
            "listings held out",
        ),
        [_class(each) for each in explanation.classes],
    )


def domains(explanation: Explanation) -> Table:
    """How well each source or language is answered."""
    return Table(
        "Sources and languages",
        ("source", "accuracy of parent", "accuracy now", "change in points", "listings held out"),
        [(words.domain(group), *_group(group)) for group in explanation.domains],
    )


def gates(explanation: Explanation) -> Table:
    """What it had to show."""
    return Table(
        "Gates",
        ("gate", "result", "why"),
        [
            (
                words.GATES.get(result.gate, result.gate),
                "passed" if result.passed else "failed",
                result.why,
            )
            for result in explanation.gates
        ],
    )


def losses(explanation: Explanation) -> Table:
    """Mean loss on the way of a fine-tuning."""
    tuned = explanation.fine_tuning
    return Table(
        "Fine-tuning",
        ("step", "training", "validation", ""),
        [
            (
                f"{each.step:,}",
                f"{each.training:.3f}",
                f"{each.validation:.3f}",
                "kept" if each.step == tuned.best_step else "",
            )
            for each in tuned.curve
        ]
        if tuned
        else [],
    )


def _class(each: ClassChange) -> tuple[str, ...]:
    labels = each.labels
    added = words.NOTHING if labels.difference is None else f"{labels.difference:+,.0f}"
    return (each.name, count(labels.before), count(labels.now), added, *_group(each.recall))


def _group(group: Group) -> tuple[str, ...]:
    share, before = group.share, f"{group.items_before:,} → " if group.items_before else ""
    return (
        percent(share.before),
        percent(share.now),
        words.NOTHING if share.difference is None else f"{100 * share.difference:+.1f}",
        f"{before}{group.items:,}",
    )
