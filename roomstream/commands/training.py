"""What `roomstream distil` and `roomstream finetune FILE` have in common: options, and what they show."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from artefacts.errors import ReleaseRefused
from roomstream.commands.output import notes, out, print_json, print_table
from runtime.settings import KafkaSettings, SharedSettings
from schemas.errors import ConfigurationError
from trainer.transfer.plan import Pace

if TYPE_CHECKING:
    from roomstream.transfer import Outcome, Workshop
    from trainer.transfer.distillation import Transfer

Epochs = Annotated[
    float, typer.Option(min=0.01, help="Each listing is learned so often, on average, at most.")
]
Rate = Annotated[
    float, typer.Option(min=1e-7, max=0.1, help="The highest learning rate of the encoder.")
]
Patience = Annotated[
    int,
    typer.Option(
        min=1,
        max=10,
        help="It stops after so many evaluations in turn without a lower validation loss. There are ten "
        "in a run; the best weights are kept.",
    ),
]
MaxLength = Annotated[
    int | None,
    typer.Option(
        min=3, help="The longest input in tokens; the rest is cut. Default: the live release's."
    ),
]
Picture = Annotated[
    Path | None, typer.Option(help="Draw the losses into this file: .svg, .png or .pdf.")
]
Seed = Annotated[int, typer.Option(min=0, help="Of first weights, draws and dropout.")]

DEFAULT = Pace()


class Watch:
    """Shows on standard error how far a transfer is; on a terminal with a bar that moves."""

    def say(self, what: str) -> None:
        """Say what is done next."""
        notes.print(f"{what} …", markup=False, soft_wrap=True)

    @contextlib.contextmanager
    def reading(self, texts: int) -> Iterator[Callable[[int], None]]:
        """Show how many texts the teacher has read."""
        with _bar("texts read by the teacher") as progress:
            task = progress.add_task("", total=texts, says="")
            yield lambda more: progress.advance(task, more)

    @contextlib.contextmanager
    def training(self, steps: int) -> Iterator[Callable[["Transfer"], None]]:
        """Show the losses: the training loss as it is, and a line for every evaluation."""
        with _bar("steps") as progress:
            task = progress.add_task("", total=steps, says="")
            told = 0

            def show(training: "Transfer") -> None:
                nonlocal told
                progress.update(task, completed=training.step, says=f"loss {training.recent:.4f}")
                for each in training.curve[told:]:
                    best = " (the best so far)" if each.step == training.best_step else ""
                    progress.console.print(
                        f"step {each.step:,} of {steps:,}: training loss {each.training:.4f}, "
                        f"validation loss {each.validation:.4f}{best}"
                    )
                told = len(training.curve)

            yield show


@contextlib.contextmanager
def workshop(
    kafka: KafkaSettings,
    shared: SharedSettings,
    data: Path,
    pace: Pace,
    max_length: int | None,
    picture: Path | None,
) -> Iterator["Workshop"]:
    """
    Open the workshop, and say what Ctrl-C has left: nothing, unless it is done.

    Raises:
        ConfigurationError: A library is missing, or what was asked for is wrong.
    """
    try:
        from roomstream.transfer import Workshop
    except ImportError as error:
        raise ConfigurationError(
            f"Training needs torch, transformers and matplotlib ({error}). Run "
            "pip install 'roomstream[trainer]'."
        ) from error
    ours = Workshop(kafka, shared, data, pace, max_length, picture, Watch())
    try:
        yield ours
    except KeyboardInterrupt:
        left = "no candidate was announced, and the live release stays."
        if ours.announcing:
            left = "a candidate was being announced. 'roomstream releases list' says whether it is live."
        notes.print(f"Interrupted: {left}", soft_wrap=True)
        raise


def tell_outcome(outcome: "Outcome", picture: Path | None, as_json: bool) -> None:
    """
    Print what became of a candidate.

    Raises:
        ReleaseRefused: A gate refused it.
    """
    manifest, announcement = outcome.manifest, outcome.announcement
    if as_json:
        print_json(
            {
                "release": manifest.release,
                "parent": manifest.parent,
                "channel": announcement.channel if announcement else None,
                "labels": manifest.labels,
                "gates": msgspec.to_builtins(manifest.evaluation),
                "quality": msgspec.to_builtins(manifest.quality),
                "fine_tuning": msgspec.to_builtins(manifest.fine_tuning),
                "picture": str(picture) if picture else None,
            }
        )
    else:
        _describe(outcome, picture)
    refused = [result for result in manifest.evaluation if not result.passed]
    if refused:
        raise ReleaseRefused(
            f"The candidate was refused, nothing was published, and {manifest.parent} stays live: "
            + "; ".join(f"{result.gate}: {result.why}" for result in refused)
            + "."
        )


def _describe(outcome: "Outcome", picture: Path | None) -> None:
    manifest = outcome.manifest
    rows = [
        (result.gate, "passed" if result.passed else "failed", result.why)
        for result in manifest.evaluation
    ]
    print_table(("gate", "result", "why"), rows)
    if (quality := manifest.quality) is not None:
        out.print(
            f"Of {quality.items:,} held-out listings {quality.accuracy:.1%} are right; macro-F1 is "
            f"{quality.macro_f1:.1%}, log loss {quality.log_loss:.3f}."
        )
    if (tuned := manifest.fine_tuning) is not None:
        text = f"Kept are the weights of step {tuned.best_step:,}; it ended with: {tuned.stopped}."
        out.print(f"{text} The losses are drawn in {picture}." if picture else text, markup=False)
    if (announced := outcome.announcement) is not None:
        where = (
            "live"
            if announced.channel == "live"
            else f"on trial as {announced.channel} with {announced.share:.0%} of the listings"
        )
        out.print(f"Release {manifest.release} is {where}.", markup=False, soft_wrap=True)


@contextlib.contextmanager
def _bar(what: str) -> Iterator[Progress]:
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(what),
        TextColumn("{task.fields[says]}"),
    )
    with Progress(*columns, TimeElapsedColumn(), console=notes, transient=True) as progress:
        yield progress
