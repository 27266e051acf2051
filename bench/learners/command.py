"""
All learners on real listings: how well each learns a stream in one pass, and what that takes.

    make bench-learners
    make bench-learners ARGS="--quick"
    make bench-learners ARGS="--learners svm,ridge --again"

It goes on where it was interrupted: what docs/learners/figures.json has is not run again.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from artefacts.store import write_atomically
from bench.command_line import parser_of, run
from bench.learners.page import draw, page
from bench.learners.running import EncodedStream, Result
from bench.learners.titles import STREAMS, Move, Titles, stream
from bench.learning.streams import Size
from bench.machine import machine
from schemas.errors import ConfigurationError
from trainer.learner_names import LEARNER_NAMES
from trainer.sources import MINILM

QUICK = 1 / 30
"""The share of the rows that --quick takes."""
ROWS, TEST = 24_000, 6_000
SEED = 0
_TEMPORARY = Path(tempfile.gettempdir()) / "roomstream-bench-learners"
_DECIDE = ("model", "labels of a stream", "test rows")
"""Figures of other ones cannot be gone on from."""
_notes = Console(stderr=True, soft_wrap=True, highlight=False)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = parser_of("make bench-learners", __doc__)
    add = parser.add_argument
    add("--data", type=Path, default=Path("../shared/data/listings"), help="a folder of CSV files")
    add("--learners", default=",".join(LEARNER_NAMES), help="some of them; else all")
    add("--streams", default=",".join(STREAMS), help=f"some of {', '.join(STREAMS)}; else all")
    add("--again", action="store_true", help="run them again, though their figures are known")
    add("--quick", action="store_true", help="1/30 of all rows: shows that it runs")
    add("--rows", type=int, default=ROWS, help=f"labels of each stream at most ({ROWS:,})")
    add("--test", type=int, default=TEST, help=f"test rows of each at most ({TEST:,})")
    add("--model", default=MINILM, help="as for 'roomstream base import'")
    add("--docs", type=Path, help="write page, pictures and figures here; docs/ unless --quick")
    add("--kept", type=Path, default=_TEMPORARY, help="where features are kept for the next run")
    given = parser.parse_args()
    for option, known in (("learners", LEARNER_NAMES), ("streams", STREAMS)):
        if unknown := set(getattr(given, option).split(",")) - set(known):
            parser.error(f"--{option}: there is no {', '.join(sorted(unknown))}")
    given.docs = given.docs or (_TEMPORARY / "quick" if given.quick else Path("docs"))
    return given


def main() -> None:
    """Run what is missing, and write the page."""
    given = arguments()
    try:
        run(measure, given)
    except KeyboardInterrupt:
        _notes.print("Interrupted: run it again to go on from here.")
        sys.exit(130)


def measure(given: argparse.Namespace) -> None:
    """Run what the command line asks for and no figures are known of."""
    size = Size(given.rows, given.test, QUICK if given.quick else 1.0)
    report = given.docs / "learners" / "figures.json"
    about: dict[str, object] = {
        "model": given.model,
        "labels of a stream": size.of(size.rows),
        "test rows": size.of(size.test),
        **machine("numpy", "onnxruntime", "river", "scikit-learn"),
    }
    results = _earlier(report, about)
    learners, streams = given.learners.split(","), given.streams.split(",")
    if given.again:
        results = [
            each for each in results if not (each.learner in learners and each.stream in streams)
        ]
    done = {(each.stream, each.learner) for each in results}
    missing = {
        name: wanted
        for name in streams
        if (wanted := [each for each in learners if (name, each) not in done])
    }
    with _view(sum(map(len, missing.values()))) as view:
        for result in _found(given, size, missing, view.move):
            results.append(result)
            view.tell(result)
            _write(report, about, results)
    pictures = draw(results, given.docs / "learners")
    text = page(results, about, pictures)
    (given.docs / "learners.md").write_text(text)
    Console(soft_wrap=True, highlight=False).print(text, markup=False)
    _notes.print(
        f"Written to {given.docs / 'learners.md'}; pictures and figures in {report.parent}."
    )


def _found(
    given: argparse.Namespace, size: Size, missing: Mapping[str, Sequence[str]], move: Move
) -> Iterator[Result]:
    if not missing:
        return
    move(f"loading {given.model}", 0.0)
    titles = Titles.of_source(given.model, given.kept)
    for name, learners in missing.items():
        taught = EncodedStream(stream(given.data, name, size, SEED), titles, move)
        for learner in learners:
            yield taught.teach(learner, move)


class _View:
    """A bar over all runs, one for what is done now, and a line for each run that is done."""

    def __init__(self, bars: Progress, runs: int) -> None:
        self._bars = bars
        self._all = bars.add_task("all runs", total=runs)
        self._now = bars.add_task("", total=1.0)

    def move(self, what: str, share: float) -> None:
        """Show what is done now, and which share of it is done."""
        self._bars.update(self._now, description=what, completed=share)

    def tell(self, result: Result) -> None:
        """Show what was found."""
        self._bars.advance(self._all)
        scores, figures = result.scores, result.figures
        self._bars.console.print(
            f"{result.stream}: {result.learner}: accuracy {scores.accuracy:.1%}, macro-F1 "
            f"{scores.macro_f1:.1%}, {figures.label_microseconds:,.0f} µs a label, "
            f"{figures.prediction_microseconds:,.0f} µs a prediction"
        )


@contextmanager
def _view(runs: int) -> Iterator[_View]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=_notes, transient=True) as bars:
        yield _View(bars, runs)


def _write(report: Path, about: Mapping[str, object], results: Sequence[Result]) -> None:
    """Write all figures so far, whole or not at all."""
    figures = {"about": about, "results": msgspec.to_builtins(results)}
    write_atomically(report, f"{json.dumps(figures, indent=1)}\n".encode())


def _earlier(report: Path, about: Mapping[str, object]) -> list[Result]:
    """
    What an earlier run has found.

    Raises:
        ConfigurationError: Its figures cannot be read, or are of other rows.
    """
    if not report.exists():
        return []
    try:
        content = json.loads(report.read_text())
        results = msgspec.convert(content["results"], list[Result])
        before = {name: content["about"][name] for name in _DECIDE}
    except (OSError, ValueError, KeyError, msgspec.ValidationError) as error:
        raise ConfigurationError(
            f"{report} holds no figures to go on from: {error}. Move it away to begin anew."
        ) from error
    if before != {name: about[name] for name in _DECIDE}:
        raise ConfigurationError(
            f"The figures in {report} are of {before}. Run it with the same --rows, --test and --model, "
            "or name another folder with --docs."
        )
    return results
