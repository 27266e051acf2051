"""The figures as a page, with pictures."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.learners.running import Result
from bench.learners.titles import STREAMS
from bench.learning.markdown import table
from bench.pictures import file_name
from trainer.learner_names import LEARNER_NAMES
from trainer.pictures import accuracy_over_time, save

RECOMMENDATION = Path(__file__).with_name("recommendation.md")
"""Written by people who have read the figures; the page begins with it."""

_INTRODUCTION = """# Which learner for which labels

Written by `make bench-learners` (`python -m bench.learners`), but for the recommendation; do not edit.
Titles of real listings of Inside Airbnb (CC BY 4.0), title to room type; hosts of the test are in no
training row. The same on labels of your own: `roomstream learners compare FILE`.
"""

_HOW = """## How it was measured

Every learner sees each label once, in mini-batches of 64, with the features of the packaged MiniLM as it
came: no encoder is tuned here, so that figures are lower than those of [learning.md](learning.md), where
the first city's labels have tuned it. It rehearses and learns anew from a replay buffer of 10,000 as the
trainer lets it; no label is held out or held back, and nothing is released in between. One seed; a
difference of less than one percentage point on 6,000 test rows is chance.

*Accuracy* and *macro-F1* (over the classes that a city has) are of the exported head on the test (fold
0) after the pass, the mean over the cities of the test. *Before learning* is prequential: every label is
predicted before it is learned. *Forgetting* there is the best recall of a class in a window of 1,000
labels minus its last one, the mean over classes; that of cities is the best accuracy on a city's test
after an earlier phase minus that at the end, the mean over all cities but the last (Chaudhry et al.
2018). Times are processor time, one thread: *a label* with rehearsal and learning anew; *a prediction* by
the exported head in ONNX Runtime, in batches of 64, without the encoder. *State* is what the trainer
keeps, *head* what a release has.
"""


def draw(results: Sequence[Result], folder: Path) -> dict[str, str]:
    """
    Draw accuracy over time for each stream.

    Returns:
        The address of each stream's picture, seen from beside the folder.
    """
    addresses = {}
    for name in _streams(results):
        found = [each.figures for each in results if each.stream == name]
        save(accuracy_over_time(found, title(name)), folder / file_name(name))
        addresses[name] = f"{folder.name}/{file_name(name)}"
    return addresses


def page(
    results: Sequence[Result], about: Mapping[str, object], pictures: Mapping[str, str]
) -> str:
    """
    Write the page.

    Args:
        results: What was found.
        about: What it was measured on, and how.
        pictures: The address of each stream's picture.
    """
    parts = [
        _INTRODUCTION,
        RECOMMENDATION.read_text() if RECOMMENDATION.exists() else "",
        _overview(results),
        _HOW,
        *(_section(results, name, pictures[name]) for name in _streams(results)),
        "Measured on: " + ", ".join(f"{key} {value}" for key, value in about.items()) + ".",
    ]
    return "\n".join(filter(None, parts)) + "\n"


def title(name: str) -> str:
    """What a stream is called on the page."""
    return " → ".join(STREAMS[name])


def _streams(results: Sequence[Result]) -> list[str]:
    found = {each.stream for each in results}
    return [name for name in STREAMS if name in found]


def _overview(results: Sequence[Result]) -> str:
    """Accuracy and macro-F1 of every learner on every stream, the best mean first."""
    streams = _streams(results)
    by_learner: dict[str, dict[str, Result]] = {}
    for each in results:
        by_learner.setdefault(each.learner, {})[each.stream] = each

    def mean(learner: str) -> float:
        found = by_learner[learner].values()
        return sum(each.scores.accuracy for each in found) / len(found)

    rows = [
        (
            f"`{learner}`",
            LEARNER_NAMES[learner],  # type: ignore[index] # a name of an earlier run is one of them
            *(_both(by_learner[learner].get(name)) for name in streams),
        )
        for learner in sorted(by_learner, key=mean, reverse=True)
    ]
    head = ("learner", "what it is", *map(title, streams))
    return "\n".join(
        ["## All of them", "", "Accuracy / macro-F1 on the test.", "", table(head, rows)]
    )


def _both(result: Result | None) -> str:
    if result is None:
        return ""
    return f"{_percent(result.scores.accuracy)} / {_percent(result.scores.macro_f1)}"


_COLUMNS: dict[str, Callable[[Result], str]] = {
    "accuracy": lambda each: _percent(each.scores.accuracy),
    "macro-F1": lambda each: _percent(each.scores.macro_f1),
    "before learning: accuracy": lambda each: _percent(each.figures.accuracy),
    "macro-F1 ": lambda each: _percent(each.figures.macro_f1),
    "forgetting": lambda each: _percent(each.figures.forgetting),
    "µs a label": lambda each: f"{each.figures.label_microseconds:,.0f}",
    "µs a prediction": lambda each: f"{each.figures.prediction_microseconds:,.0f}",
    "state, MB": lambda each: f"{each.figures.state_bytes / 1e6:,.2f}",
    "head, MB": lambda each: f"{each.figures.head_bytes / 1e6:,.2f}",
}


def _section(results: Sequence[Result], name: str, picture: str) -> str:
    found = [each for each in results if each.stream == name]
    found.sort(key=lambda each: -each.scores.accuracy)
    rows = [(f"`{each.learner}`", *(cell(each) for cell in _COLUMNS.values())) for each in found]
    parts = [
        f"## {title(name)}",
        f"{found[0].figures.labels:,} labels. Percentages, times and sizes as said above.",
        table(("learner", *_COLUMNS), rows),
        _by_class(found),
        *([_by_city(found)] if len(STREAMS[name]) > 1 else []),
        *_unlike(found),
        f"![Accuracy over time]({picture})\n",
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _by_class(found: Sequence[Result]) -> str:
    classes = list(found[0].scores.recall)
    rows = [
        (f"`{each.learner}`", *(_percent(each.scores.recall[label]) for label in classes))
        for each in found
    ]
    return f"Recall on the test, by class:\n\n{table(('learner', *classes), rows)}"


def _by_city(found: Sequence[Result]) -> str:
    cities = list(found[0].scores.by_part[-1])
    rows = [
        (
            f"`{each.learner}`",
            *(_percent(each.scores.by_part[-1][city]) for city in cities),
            _percent(each.scores.forgetting or 0.0),
        )
        for each in found
    ]
    head = ("learner", *cities, "forgetting of cities")
    return f"Accuracy on each city's test at the end:\n\n{table(head, rows)}"


def _unlike(found: Sequence[Result]) -> list[str]:
    """Heads that do not say what their learner says, if any."""
    unlike = [f"{each.learner} {1 - each.same:.2%}" for each in found if each.same < 1]
    return [f"The head says something else than the learner: {', '.join(unlike)}."] * bool(unlike)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
