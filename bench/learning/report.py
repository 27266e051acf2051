"""The figures as a page: tables, what they were measured on, and what they mean."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from statistics import fmean

from bench.learning.job import LeftOut
from bench.learning.results import Result, Spread, of, paired
from bench.learning.streams import DECIDED, DRIFT, DRIFT_STREAM, UNDECIDED_ROWS
from bench.learning.table import METHODS

_HEADER = (
    "accuracy",
    "macro-F1",
    "average accuracy",
    "forgetting",
    "backward transfer",
    "label to live",
    "CPU s a 1,000 labels",
    "releases (refused)",
)

INTRODUCTION = """# What a stream of labels teaches, and what is forgotten

Written by `make bench-learning`; do not edit. Titles of real listings of Inside Airbnb (CC BY 4.0), title
to room type; hosts of the test are in no training row. roomstream's rows run through the trainer's own
code, fed by files: a tenth of the labels is held out to judge releases by, candidates pass its gates, and
what answers is the release that is live. Every way but the bounds begins with the same encoder, tuned on
the beginning of the stream only: the rows of New York, of Barcelona, or of the first snapshot. Naive
fine-tuning goes on from there too; joint fine-tuning begins with the model as it came.

Figures are percentages: the mean over seeds ± the standard deviation. *Accuracy* and *macro-F1* (over
the classes that a city has) are means over the cities of the test, at the end of the stream. *Average
accuracy* is the mean over the parts of the stream: cities, groups of classes, or snapshots. *Forgetting*
is the best accuracy on a part after an earlier phase minus that at the end, the mean over all parts but
the last (Chaudhry et al. 2018); *backward transfer* is the accuracy at the end minus that right after the
part was taught (Lopez-Paz & Ranzato 2017). *Label to live* is the time from a label's arrival to answers
that know it, without waiting for other labels: for a fine-tune or a refit the whole of it. Encoding is
part of both costs; tuning the first encoder is not.
"""


_UNDECIDED = f"""*Learned alone* is a model that was fine-tuned on all labels of the new titles and on
nothing else. *{DECIDED[:1].upper()}{DECIDED[1:]}* are all but those of which {UNDECIDED_ROWS} or more are
taught and no class has two thirds, such as "Rental unit in Barcelona · 1 bedroom · 1 bed · 1 bath": one
guess at it is right or wrong for a twentieth of the test at once.
"""


ELSEWHERE = """## What tests show

`make test ARGS="-k NAME"` runs them.

- `refused_for`: candidates made bad on purpose (labels permuted, a class dropped, overfitted) are
  refused, each by its own gate.
- `overfitting`: fine-tuning that overfits stops, and keeps the best weights.
- `rolled_back_within`: a bad release that is forced live is rolled back after 40 labels and 30 s at most.
- `test_drift`: no false alarm in random order, a sharp drift within 100 labels.
- `never_learned`: streaming LDA without a deleted listing equals one that was never taught it.
- `killed`: at any moment of a fine-tune, a publish or a promotion; the restart ends in the same release.
"""


def page(
    results: Sequence[Result],
    left_out: Sequence[LeftOut],
    about: Mapping[str, object],
    pictures: Mapping[str, str],
) -> str:
    """
    Write the page.

    Args:
        results: What was found.
        left_out: What there was no time for.
        about: What it was measured on, and how.
        pictures: The address of each stream's picture.
    """
    parts = [INTRODUCTION]
    for stream in dict.fromkeys(each.stream for each in results):
        labels = max(each.scores.labels[-1] for each in results if each.stream == stream)
        parts.append(f"## {stream[:1].upper()}{stream[1:]}\n\n{labels:,} labels.\n")
        parts.append(_table(results, stream))
        parts.append(_recalls(results, stream))
        parts += [_drift(results, stream), _alarms(results, stream)]
        if stream in pictures:
            parts.append(f"![Accuracy after each phase of: {stream}]({pictures[stream]})\n")
    if differences := _differences(results):
        parts.append(f"## Differences, seed by seed\n\n{differences}")
    if left_out:
        runs = ", ".join(
            f"{each.stream}: {METHODS[each.method].title} (seed {each.seed})" for each in left_out
        )
        parts.append(f"Left out, since the time was over: {runs}.\n")
    parts.append(ELSEWHERE)
    parts.append(
        "Measured on: " + ", ".join(f"{key} {value}" for key, value in about.items()) + "."
    )
    return "\n".join(filter(None, parts)) + "\n"


def _table(results: Sequence[Result], stream: str) -> str:
    lines = [_row("", *_HEADER), _row(*["---"] * (len(_HEADER) + 1))]
    for name, entry in METHODS.items():
        if found := of(results, stream, name):
            lines.append(_row(entry.title, *_figures(found)))
    return "\n".join(lines) + "\n"


def _figures(found: Sequence[Result]) -> list[str]:
    scores = [each.scores for each in found]
    seconds = fmean(each.label_to_live_seconds for each in found)
    made, refused = (fmean(getattr(each, it) for each in found) for it in ("announced", "refused"))
    return [
        points(Spread.of(each.accuracy for each in scores)),
        points(Spread.of(each.macro_f1 for each in scores)),
        points(Spread.of(each.average_accuracy for each in scores)),
        points(Spread.of(each.forgetting for each in scores)),
        points(Spread.of(each.backward_transfer for each in scores)),
        f"{seconds:.2g} s" if seconds < 100 else f"{seconds:.0f} s",
        f"{fmean(each.cpu_seconds_per_1000_labels for each in found):.1f}",
        f"{made:.0f} ({refused:.0f})" if made or refused else "",
    ]


def _recalls(results: Sequence[Result], stream: str) -> str:
    classes = sorted({c for r in results if r.stream == stream for c in r.scores.recall})
    lines = [_row("recall", *classes), _row(*["---"] * (len(classes) + 1))]
    for name, entry in METHODS.items():
        if found := of(results, stream, name):
            spreads = [
                Spread.of(each.scores.recall.get(label) for each in found) for label in classes
            ]
            lines.append(_row(entry.title, *map(points, spreads)))
    return "\n".join(lines) + "\n"


def _drift(results: Sequence[Result], stream: str) -> str:
    """How well the new part of a sharp drift is known soon after, and the old one at the end."""
    if stream != DRIFT_STREAM:
        return ""
    old, new = DRIFT
    lines = [
        _row(
            "",
            "new titles after 1,000 labels, minus learned alone",
            f"{DECIDED} after 1,000 labels, minus learned alone",
            "old titles, end minus before",
        ),
        _row(*["---"] * 4),
    ]
    for name, entry in METHODS.items():
        found = [each for each in of(results, stream, name) if len(each.scores.by_part) > 1]
        kept = [each.scores.by_part[-1][old] - each.scores.by_part[0][old] for each in found]
        if found:
            soon = [_minus_alone(results, found, part) for part in (new, DECIDED)]
            figures = (points(Spread.of(each), signed=True) for each in (*soon, kept))
            lines.append(_row(entry.title, *figures))
    return "\n".join([*lines, "", _UNDECIDED])


def _minus_alone(results: Sequence[Result], found: Sequence[Result], part: str) -> list[float]:
    """Accuracy on new titles 1,000 labels after the drift, minus that of learning all of them alone."""
    alone = {each.seed: each.scores.by_part[0][part] for each in of(results, DRIFT_STREAM, "alone")}
    return [each.scores.by_part[1][part] - alone[each.seed] for each in found if each.seed in alone]


def _alarms(results: Sequence[Result], stream: str) -> str:
    """When the trainer saw a drift, in labels since the last phase ended."""
    lines = []
    for name, entry in METHODS.items():
        found = of(results, stream, name)
        if not any(each.announced for each in found):
            continue
        seen = []
        for each in found:
            ends = [0, *each.scores.labels]
            places = [(bisect_left(ends, alarm) - 1, alarm) for alarm in each.alarms]
            seen += [
                f"{alarm - ends[phase]:,} labels into {each.phases[phase]} (seed {each.seed})"
                for phase, alarm in places
            ]
        lines.append(f"- {entry.title}: {', '.join(seen) or 'none'}")
    return "Drift alarms:\n\n" + "\n".join(lines) + "\n" if lines else ""


def _differences(results: Sequence[Result]) -> str:
    """What the trainers gain or lose against the bound, against TF-IDF, and by noise."""
    streams = list(dict.fromkeys(each.stream for each in results))
    pairs = [
        ((stream, ours), (stream, theirs))
        for stream in streams
        for ours in ("ours", "mixture", "slda")
        for theirs in ("joint", "tfidf")
    ]
    pairs += [(("noise", ours), ("shuffled", ours)) for ours in ("ours", "mixture", "slda")]
    lines = [_row("", "accuracy", "macro-F1"), _row("---", "---", "---")]
    for ours, theirs in pairs:
        accuracy = paired(results, ours, theirs, "accuracy")
        if accuracy:
            title = f"{ours[0]}: {METHODS[ours[1]].title} minus {_other(ours, theirs)}"
            f1 = paired(results, ours, theirs, "macro_f1")
            lines.append(_row(title, points(accuracy, signed=True), points(f1, signed=True)))
    return "\n".join(lines) + "\n" if len(lines) > 2 else ""


def _other(ours: tuple[str, str], theirs: tuple[str, str]) -> str:
    return METHODS[theirs[1]].title if ours[0] == theirs[0] else f"the same, {theirs[0]}"


def points(spread: Spread | None, signed: bool = False) -> str:
    """A share in percentage points, such as `84.8 ± 0.3`; nothing if it is not known."""
    if spread is None:
        return ""
    sign = "+" if signed else ""
    deviation = "" if spread.deviation is None else f" ± {100 * spread.deviation:.1f}"
    return f"{100 * spread.mean:{sign}.1f}{deviation}"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
