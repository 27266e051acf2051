"""`roomstream learners`: which there are, and how they do on your own labels."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from artefacts.cache import BlobCache
from artefacts.errors import ReleaseMissing
from artefacts.store import Store
from roomstream.commands.output import Json, notes, out, print_json, print_table
from roomstream.labelled_texts import LabelledText, labelled_of_file, labelled_of_trainer
from roomstream.options import with_settings
from runtime.settings import SharedSettings, data_folder
from schemas.errors import ConfigurationError
from trainer.learner_names import LEARNER_NAMES

if TYPE_CHECKING:
    from trainer.comparison import Course, Figures, Lessons
    from trainer.text_encoder import TextEncoder

app = typer.Typer(
    no_args_is_help=True, help="What TRAINER_LEARNER chooses from, and which suits your labels."
)

SHOWN_CLASSES = 8
_ENCODED_AT_ONCE = 64
Move = Callable[[str, float], None]
"""Shows what is done now, and which share of it is done."""


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the learners, with a few words on each."""
    if as_json:
        print_json(dict(LEARNER_NAMES))
    else:
        print_table(("learner", "what it is"), list(LEARNER_NAMES.items()))


@app.command("compare")
@with_settings(SharedSettings)
def compare(
    shared: SharedSettings,
    file: Annotated[
        Path | None,
        typer.Argument(
            exists=True,
            dir_okay=False,
            help="CSV, also .gz, with the columns title and label, oldest first. Without it the replay "
            "buffer of the trainer is taken: run this on its machine then.",
        ),
    ] = None,
    learner: Annotated[
        list[str] | None,
        typer.Option(help="One of 'roomstream learners list', perhaps several times; else all."),
    ] = None,
    database: Annotated[
        Path | None,
        typer.Option(
            envvar="TRAINER_DATABASE",
            show_envvar=True,
            help="Without FILE: the trainer's database, if not the default one of this user.",
        ),
    ] = None,
    release: Annotated[
        str | None,
        typer.Option(
            help="Its encoder makes the features; without it that of the live release, or the packaged "
            "MiniLM where there is none."
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(help="Draw accuracy over time into this file, which ends in .svg or .png."),
    ] = None,
    as_json: Json = False,
) -> None:
    """
    Compare learners on labels of your own.

    Each is taught the labels in mini-batches, as the trainer would with its replay buffer, and predicts
    every label before it learns it. Times are processor time; predictions are timed with the head that
    workers would run.
    """
    names = _known(learner or [])
    _require_trainer()
    labelled = (
        labelled_of_file(file)
        if file
        else labelled_of_trainer(database or data_folder() / "trainer.sqlite")
    )
    with _moving() as move:
        lessons = _lessons(labelled, _encoder(shared, release, move), move)
        found = sorted(_compared(names, lessons, move), key=lambda each: -each.accuracy)
    if picture:
        _draw(found, picture)
    if as_json:
        print_json(msgspec.to_builtins(found))
    else:
        _show(found)


def _known(names: Sequence[str]) -> list[str]:
    if unknown := [name for name in names if name not in LEARNER_NAMES]:
        raise ConfigurationError(
            f"There is no learner {', '.join(unknown)}. Known are: {', '.join(LEARNER_NAMES)}."
        )
    return list(dict.fromkeys(names)) or list(LEARNER_NAMES)


def _require_trainer() -> None:
    try:
        import trainer.comparison
        import trainer.pictures  # noqa: F401 - only tried out
    except ImportError as error:
        raise ConfigurationError(
            f"Learners are part of the trainer ({error}). Run pip install 'roomstream[trainer]'."
        ) from error


def _encoder(shared: SharedSettings, release: str | None, move: Move) -> "TextEncoder":
    from trainer.text_encoder import TextEncoder

    store = Store(shared.store)
    try:
        manifest = store.manifest(release or store.pointed("live"))
    except ReleaseMissing:
        if release:
            raise
        return _packaged(move)
    notes.print(f"Features by release {manifest.release}.", style="dim")
    return TextEncoder.of_release(manifest, BlobCache(store, shared.cache).get)


def _packaged(move: Move) -> "TextEncoder":
    from trainer.base_import import import_base
    from trainer.text_encoder import TextEncoder

    notes.print("No release is live: features by the packaged MiniLM.", style="dim")
    move("loading the packaged MiniLM", 0.0)
    imported = import_base("minilm", ["one", "another"])
    return TextEncoder.of_parts(imported.parts, imported.manifest.max_length)


def _lessons(labelled: Sequence[LabelledText], encoder: "TextEncoder", move: Move) -> "Lessons":
    from trainer.comparison import Lessons, joined

    batches = []
    for start in range(0, len(labelled), _ENCODED_AT_ONCE):
        move(f"encoding {len(labelled):,} texts", start / len(labelled))
        some = labelled[start : start + _ENCODED_AT_ONCE]
        batches.append(encoder.examples([each.text for each in some]))
    return Lessons(
        joined(batches), [each.label for each in labelled], [each.domain for each in labelled]
    )


def _compared(names: Sequence[str], lessons: "Lessons", move: Move) -> "Iterator[Figures]":
    from trainer.comparison import compared
    from trainer.learners import LEARNERS

    def told(course: "Course") -> None:
        text = f"{course.learner.name}: {course.accuracy:.1%} right so far"
        move(text, course.labels / len(lessons))

    return compared([LEARNERS[name] for name in names], lessons, told)


@contextmanager
def _moving() -> Iterator[Move]:
    """A bar for what is done now, on standard error, while the block runs on a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=notes, transient=True) as bars:
        bar = bars.add_task("", total=1.0)
        yield lambda what, share: bars.update(bar, description=what, completed=share)


def _draw(found: Sequence["Figures"], path: Path) -> None:
    from trainer.pictures import accuracy_over_time, save

    save(accuracy_over_time(found, f"{found[0].labels:,} labels"), path)
    notes.print(f"Accuracy over time is drawn in {path}.", style="dim", soft_wrap=True)


def _show(found: Sequence["Figures"]) -> None:
    measured = ("accuracy", "macro-F1", "forgets", "µs/label", "µs/prediction")
    print_table(
        ("learner", *measured, "state", "head"),
        [
            (
                each.learner,
                f"{each.accuracy:.1%}",
                f"{each.macro_f1:.1%}",
                f"{each.forgetting:.1%}",
                f"{each.label_microseconds:,.0f}",
                f"{each.prediction_microseconds:,.0f}",
                size(each.state_bytes),
                size(each.head_bytes),
            )
            for each in found
        ],
    )
    classes = list(found[0].recall)
    out.print("\nRecall of each class")
    print_table(
        ("learner", *classes[:SHOWN_CLASSES]),
        [
            (each.learner, *(f"{each.recall[label]:.1%}" for label in classes[:SHOWN_CLASSES]))
            for each in found
        ],
    )
    if len(classes) > SHOWN_CLASSES:
        out.print(f"and of {len(classes) - SHOWN_CLASSES} more classes: see --json.")


def size(count: int) -> str:
    """A number of bytes for people."""
    return (
        f"{count / 1e6:,.1f}\N{NO-BREAK SPACE}MB"
        if count >= 1e6
        else f"{count / 1e3:,.1f}\N{NO-BREAK SPACE}kB"
    )
