"""The figures as a page."""

from collections.abc import Mapping, Sequence

import msgspec

from artefacts.manifest import Losses
from bench.learning.markdown import table

TEACHER, DISTILLED = "teacher", "student, distilled"
ALONE, TO_THE_END = "student, labels alone", "student, labels alone, to the last step"


Gained = Mapping[str, Mapping[str, tuple[float, float, float]]]
"""Distilled minus each student of labels alone, by name and figure: the difference and its interval."""


class Measured(msgspec.Struct, frozen=True):
    """
    What was found of a model; shares are in [0, 1].

    Attributes:
        name: Which one it is.
        layers: Of its encoder.
        size_bytes: Of its graphs.
        microseconds: For a title.
        accuracy: On the test.
        accuracy_interval: Of it, 95%.
        macro_f1: On the test.
        macro_f1_interval: Of it, 95%.
        by_city: Accuracy in each.
        by_class: Recall of each class.
        agreement: How often it says what the teacher says.
        log_loss: On the test, in nats.
        cpu_seconds: What its training took.
        steps: How many mini-batches.
        best_step: Which of them is kept.
        stopped: Why it ended.
        curve: Its losses.
    """

    name: str
    layers: int
    size_bytes: int
    microseconds: float
    accuracy: float
    accuracy_interval: tuple[float, float]
    macro_f1: float
    macro_f1_interval: tuple[float, float]
    by_city: Mapping[str, float]
    by_class: Mapping[str, float]
    agreement: float
    log_loss: float
    cpu_seconds: float
    steps: int
    best_step: int
    stopped: str
    curve: list[Losses]


class Figures(msgspec.Struct, frozen=True):
    """
    All that a run has found, as it is kept.

    Attributes:
        about: How and on what it was measured.
        models: Teacher, distilled student, and those that learned from labels alone.
        gained: What the teacher adds.
    """

    about: dict[str, object]
    models: list[Measured]
    gained: Gained


_HEAD = """# Distillation and transfer

Written by `make bench-transfer`; do not edit. Titles of real listings of Inside Airbnb (CC BY 4.0),
title to room type; hosts of the test are in no row that is learned.
"""

_HOW = """## How it was measured

The teacher is the packaged MiniLM with a head of two layers, fine-tuned on {taught:,} titles of {cities}
as `roomstream finetune FILE --base minilm` does it, but read at its first token, so that transformers can
load it. The student has every other layer of that teacher: the first and the last are among them. It is
trained on the same titles, from the same weights and seed: with the teacher's answers, the labels and
the hidden states (5 to 2 to 1, temperature 2), and on the labels alone. A tenth of the titles is never
learned and decides when to stop, and which weights are kept. There labels are compared at the temperature
that is best, as a release gets it: else their loss rises once answers are too sure of themselves, while
they still become better. The third student neither stops nor goes back, so that what the length of the
training does is not taken for what the teacher does. Test: {tested:,} titles of fold 0. One seed: the
intervals (95%, bootstrap of the test) say what another test would change, not what another seed would.
Log loss is that without the temperature that a release gets. Speed is that of both graphs in ONNX
Runtime with one thread on 512 titles, batched as a worker does it: the median of nine rounds in turn.
"""

_USE = """## The commands

    roomstream distil --teacher DIR --data FILE --picture curve.svg
    roomstream distil --teacher DIR --student minilm --data FILE --soft 1 --labels 1 --cosine 0
    roomstream finetune FILE --picture curve.svg
    roomstream finetune FILE --base minilm --epochs 5

The teacher is a folder of any sequence classifier of transformers. Its answers are computed once for each
text, before the training. The loss is a weighted sum, of which the ratio of weights counts:

- *soft*: Kullback-Leibler divergence of the student's answers from the teacher's, both softened by the
  temperature T, times T² (Hinton et al. 2015);
- *labels*: cross-entropy with the labels of the file;
- *cosine*: 1 - cosine of the hidden states that the classification reads, the student's and the
  teacher's (Sanh et al. 2019, DistilBERT, who compare every token). It is one state a text, so that both
  may have tokenizers of their own. Where they are not as wide it is left out, and the command says so.

Validation is measured ten times in a run; where it has not fallen for `--patience` times in turn the run
ends, and the best weights are kept. A tenth of the file (`TRAINER_HOLDOUT_SHARE`), by listing id as the
running trainer draws it, is never learned: there the candidate is compared with the live release, through
the gates and with the bounds of the trainer. What passes is published and live, or on trial where
`TRAINER_PROMOTION` says so. What fails is not published: its figures are shown, and the exit code is 3.
"""

_MACHINE = """\
Measured on {processor}, {cores} cores, one of them used, load {load} when it began; torch {torch},
transformers {transformers}, onnxruntime {onnxruntime}; {minutes} minutes of processor time, {at}.
"""


def page(figures: Figures, pictures: Mapping[str, str]) -> str:
    """Write the page; `pictures` has the address of each model's curve."""
    found, about = figures.models, figures.about
    parts = [
        _HEAD,
        "## What came of it\n",
        table(
            (
                "",
                "layers",
                "accuracy",
                "macro-F1",
                "as the teacher says",
                "log loss",
                "MB",
                "µs a title",
            ),
            [_quality(each) for each in found],
        ),
        _gained(figures.gained, found),
        table(("accuracy", *found[0].by_city), [_shares(each, each.by_city) for each in found]),
        table(("recall", *found[0].by_class), [_shares(each, each.by_class) for each in found]),
        "## Training\n",
        table(
            ("", "steps", "kept", "ended with", "CPU s"),
            [
                (
                    each.name,
                    f"{each.steps:,}",
                    f"{each.best_step:,}",
                    each.stopped,
                    f"{each.cpu_seconds:.0f}",
                )
                for each in found
            ],
        ),
        "".join(f"![Losses of the {name}]({address})\n\n" for name, address in pictures.items()),
        _HOW.format(**about),
        _USE,
        _MACHINE.format(**about),
    ]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _quality(each: Measured) -> tuple[str, ...]:
    return (
        each.name,
        str(each.layers),
        f"{_percent(each.accuracy)} ({_interval(each.accuracy_interval)})",
        f"{_percent(each.macro_f1)} ({_interval(each.macro_f1_interval)})",
        _percent(each.agreement),
        f"{each.log_loss:.3f}",
        f"{each.size_bytes / 1e6:.1f}",
        f"{each.microseconds:.0f}",
    )


def _gained(gained: Gained, found: Sequence[Measured]) -> str:
    teacher, student = found[0], found[1]
    names = list(next(iter(gained.values())))
    rows = [
        (
            name,
            *(
                f"{100 * mean:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
                for mean, low, high in differences.values()
            ),
        )
        for name, differences in gained.items()
    ]
    return (
        f"The student is {teacher.microseconds / student.microseconds:.2f} times as fast as its teacher, "
        f"and has {student.size_bytes / teacher.size_bytes:.0%} of its size (most of it are embeddings). "
        "What the teacher adds, in points with the 95% interval:\n\n"
        f"{table(('distilled minus', *names), rows)}\n{_verdict(gained)}\n"
    )


def _verdict(gained: Gained) -> str:
    """Whether it is the teacher that helps, or the longer training that comes with it."""
    _, low, _ = gained[TO_THE_END]["accuracy"]
    if low > 0:
        return "The teacher adds more than a training of the same length on labels alone."
    return (
        "**So the teacher adds nothing here that labels alone do not give when they are learned as "
        "long.** Distil where the teacher knows what the labels do not say, such as a large one that has "
        "learned other listings, and compare with `roomstream finetune FILE`."
    )


def _shares(each: Measured, shares: Mapping[str, float]) -> tuple[str, ...]:
    return (each.name, *(_percent(share) for share in shares.values()))


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _interval(bounds: tuple[float, float]) -> str:
    return f"{_percent(bounds[0])} to {_percent(bounds[1])}"
