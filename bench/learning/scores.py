"""The figures of continual learning, from what was said of the test after every phase. Pure."""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import msgspec
from sklearn.metrics import accuracy_score, f1_score

from bench.learning.rows import Row
from bench.learning.streams import Stream


class Scores(msgspec.Struct, frozen=True):
    """
    How well a stream was learned.

    Attributes:
        accuracy: At the end: the mean over the domains of the test, such as its cities.
        macro_f1: The same of macro-F1 over the classes that a domain has.
        average_accuracy: At the end, the mean over the parts of the test (Lopez-Paz & Ranzato 2017,
            "Gradient Episodic Memory", ACC).
        recall: At the end, by class, over all rows.
        forgetting: The mean over the parts taught before the last phase of the best accuracy at the end
            of an earlier phase minus that at the end of the last (Chaudhry et al. 2018, "Riemannian
            Walk"); None where everything was taught at once.
        backward_transfer: The mean over the same parts of the accuracy at the end minus that at the end
            of the phase that taught them first (Lopez-Paz & Ranzato 2017, BWT).
        labels: How many labels had come at the end of each phase.
        accuracies: `accuracy` at the end of each phase.
        by_part: Accuracy by phase and part, asides included.
        macro_f1_by_domain: At the end; empty in reports of before it was noted.
    """

    accuracy: float
    macro_f1: float
    average_accuracy: float
    recall: dict[str, float]
    forgetting: float | None
    backward_transfer: float | None
    labels: list[int]
    accuracies: list[float]
    by_part: list[dict[str, float]]
    macro_f1_by_domain: dict[str, float] = {}


def scores(stream: Stream, labels: Sequence[int], said: Sequence[Sequence[str]]) -> Scores:
    """
    Judge a run.

    Args:
        stream: What was learned.
        labels: How many labels had come at each judgement.
        said: The answers to the test at each judgement; one judgement at least.
    """
    test, last = stream.test, said[-1]
    by_part = [
        {
            part.name: _accuracy(test, answers, part.places)
            for part in [*stream.parts, *stream.asides]
        }
        for answers in said
    ]
    final = [by_part[-1][part.name] for part in stream.parts]
    forgetting, transfer = _memory(stream, by_part)
    accuracies = [fmean(by_domain(test, each, accuracy_score).values()) for each in said]
    macro_f1 = by_domain(test, last, _macro_f1)
    return Scores(
        accuracy=accuracies[-1],
        macro_f1=fmean(macro_f1.values()),
        average_accuracy=sum(final) / len(final),
        recall=recall(test, last),
        forgetting=forgetting,
        backward_transfer=transfer,
        labels=list(labels),
        accuracies=accuracies,
        by_part=by_part,
        macro_f1_by_domain=macro_f1,
    )


def by_domain(test: Sequence[Row], said: Sequence[str], figure: Any) -> dict[str, float]:
    """A figure of (truth, answers) by domain."""
    domains: dict[str, tuple[list[str], list[str]]] = {}
    for row, answer in zip(test, said, strict=True):
        truth, answers = domains.setdefault(row.domain, ([], []))
        truth.append(row.label)
        answers.append(answer)
    return {domain: float(figure(*pair)) for domain, pair in domains.items()}


def recall(test: Sequence[Row], said: Sequence[str]) -> dict[str, float]:
    """The share of right answers among the rows of each class."""
    all_of = Counter(row.label for row in test)
    right = Counter(
        row.label for row, answer in zip(test, said, strict=True) if row.label == answer
    )
    return {label: right[label] / all_of[label] for label in sorted(all_of)}


def _macro_f1(truth: Sequence[str], said: Sequence[str]) -> float:
    return float(
        f1_score(truth, said, labels=sorted(set(truth)), average="macro", zero_division=0.0)
    )


def _accuracy(test: Sequence[Row], said: Sequence[str], places: Sequence[int]) -> float:
    return sum(test[place].label == said[place] for place in places) / len(places)


def _memory(
    stream: Stream, by_part: Sequence[dict[str, float]]
) -> tuple[float | None, float | None]:
    """Forgetting and backward transfer; None where all was taught in one phase."""
    final, before = by_part[-1], by_part[:-1]
    earlier = [part for part in stream.parts if part.since < len(before)]
    if not before or not earlier:
        return None, None
    best = {part.name: max(each[part.name] for each in before[part.since :]) for part in earlier}
    lost = [best[part.name] - final[part.name] for part in earlier]
    gained = [final[part.name] - by_part[part.since][part.name] for part in earlier]
    return sum(lost) / len(earlier), sum(gained) / len(earlier)
