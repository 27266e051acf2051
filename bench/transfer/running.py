"""Trains teacher and students, and measures what came of them."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from artefacts.tokenisation import Tokenizer, Tokens
from bench.transfer.models import (
    MAX_LENGTH,
    Trained,
    answers,
    microseconds,
    save_classifier,
    trained,
)
from bench.transfer.report import ALONE, DISTILLED, TEACHER, TO_THE_END, Gained, Measured
from trainer.encoders import PooledEncoder
from trainer.evaluation import (
    Answers,
    Bootstrap,
    Truth,
    agree,
    interval,
    log_loss,
    macro_f1,
    mean,
    share_by,
)
from trainer.finetuning.loop import Model
from trainer.sources import MINILM, load_source
from trainer.transfer.distillation import Transfer
from trainer.transfer.lessons import Lessons
from trainer.transfer.plan import LABELS_ALONE, Pace, Shares
from trainer.transfer.teachers import Teacher

ROUNDS = 9

Say = Callable[[str], None]


class ToTheEnd(Transfer):
    """A run that neither stops early nor goes back: it ends with the weights of its last evaluation."""

    @property
    def overfits(self) -> bool:
        """Never: it goes on."""
        return False

    def advance(self) -> None:
        """Learn a mini-batch: what came last is the best."""
        super().advance()
        self.best_step = self.step

    def best_model(self) -> Model:
        """The last one."""
        return self.mean


def train(lessons: Lessons, pace: Pace, say: Say) -> tuple[dict[str, Trained], list[Tokens]]:
    """
    Train the teacher, then a student with it and two without.

    Returns:
        The models by name, and the tokens of the test, which all of them read.
    """
    source = load_source(MINILM)
    tokenizer = Tokenizer(source.tokenizer_json, MAX_LENGTH)
    listings = lessons.tokenised(tokenizer)
    encoder = PooledEncoder(source.encoder.model, "first")
    models = {
        TEACHER: trained(
            Transfer(encoder, listings, LABELS_ALONE, pace), tokenizer, lessons, _told(TEACHER, say)
        )
    }
    with tempfile.TemporaryDirectory() as folder:
        save_classifier(models[TEACHER], source.tokenizer_json, lessons.classes, Path(folder))
        teacher = Teacher(Path(folder))
        say(f"the teacher reads {len(lessons.taught):,} titles")
        texts = [row.text for row in lessons.taught]
        taught = teacher.teach(texts, lessons.classes, "first", MAX_LENGTH)
        students = [teacher.student().encoder for _ in range(3)]
    with_answers = lessons.tokenised(tokenizer, taught.logits)
    for name, training in (
        (DISTILLED, Transfer(students[0], with_answers, Shares(), pace, taught.states)),
        (ALONE, Transfer(students[1], listings, LABELS_ALONE, pace)),
        (TO_THE_END, ToTheEnd(students[2], listings, LABELS_ALONE, pace)),
    ):
        models[name] = trained(training, tokenizer, lessons, _told(name, say))
    return models, tokenizer.encode([row.text for row in lessons.held_out])


def judge(
    models: Mapping[str, Trained], tokens: Sequence[Tokens], lessons: Lessons
) -> tuple[list[Measured], Gained]:
    """
    Measure the models on the test.

    Returns:
        What was found of each, and what the teacher adds, on paired resamples.
    """
    truth = Truth.of([row.label for row in lessons.held_out])
    resamples = Bootstrap(truth)
    said = {name: answers(each, tokens, lessons.classes) for name, each in models.items()}
    speeds = microseconds(list(models.values()), tokens, ROUNDS)
    domains = [row.domain for row in lessons.held_out]
    found = [
        Measured(
            name=name,
            layers=each.layers,
            size_bytes=each.size_bytes,
            microseconds=speed,
            accuracy=mean(said[name].right(truth), truth),
            accuracy_interval=interval(resamples.means(said[name].right(truth))),
            macro_f1=macro_f1(said[name].said, truth),
            macro_f1_interval=interval(resamples.macro_f1(said[name].said, truth)),
            by_city=_shares(domains, said[name], truth),
            by_class=_shares(truth.labels, said[name], truth),
            agreement=float(agree(said[name].said, said[TEACHER].said).mean()),
            log_loss=log_loss(said[name], truth),
            cpu_seconds=each.cpu_seconds,
            steps=each.training.step,
            best_step=each.training.best_step,
            stopped=each.training.stopped,
            curve=each.training.curve,
        )
        for (name, each), speed in zip(models.items(), speeds, strict=True)
    ]
    gained = {
        name: _gained(said[DISTILLED], said[name], said[TEACHER], truth, resamples)
        for name in (ALONE, TO_THE_END)
    }
    return found, gained


def _gained(
    distilled: Answers, alone: Answers, teacher: Answers, truth: Truth, resamples: Bootstrap
) -> dict[str, tuple[float, float, float]]:
    right = distilled.right(truth).astype(float) - alone.right(truth)
    agreed = agree(distilled.said, teacher.said).astype(float) - agree(alone.said, teacher.said)
    of_f1 = resamples.macro_f1(distilled.said, truth) - resamples.macro_f1(alone.said, truth)
    f1 = macro_f1(distilled.said, truth) - macro_f1(alone.said, truth)
    return {
        "accuracy": (float(np.mean(right)), *interval(resamples.means(right))),
        "macro-F1": (f1, *interval(of_f1)),
        "as the teacher says": (float(np.mean(agreed)), *interval(resamples.means(agreed))),
    }


def _shares(groups: Sequence[str], said: Answers, truth: Truth) -> dict[str, float]:
    return {name: share for name, (share, _) in share_by(groups, said.right(truth)).items()}


def _told(name: str, say: Say) -> Callable[[Transfer], None]:
    """Say every evaluation."""

    def tell(training: Transfer) -> None:
        if training.curve and training.curve[-1].step == training.step:
            last = training.curve[-1]
            say(
                f"{name}: step {last.step:,} of {training.steps:,}, training loss "
                f"{last.training:.4f}, validation loss {last.validation:.4f}"
            )

    return tell
