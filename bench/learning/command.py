"""
How well the trainer learns a stream of labels, and what it forgets, beside what people use today.

    make bench-learning
    make bench-learning ARGS="--quick --report learning.json"
    make bench-learning ARGS="--report learning.json --go-on"
    make bench-learning ARGS="--data DIR --stream a,b,c --seeds 1 --report learning.json"
    make bench-learning ARGS="--csv tasks.csv --model distilbert-base-uncased"
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import msgspec
from rich.console import Console

from artefacts.store import write_atomically
from bench.command_line import parsed, parser_of, run
from bench.learning.job import LeftOut, Plan
from bench.learning.pictures import draw
from bench.learning.report import INSIDE_AIRBNB, page
from bench.learning.results import Result
from bench.learning.running import run_all
from bench.learning.streams import Size
from bench.learning.table import METHODS
from bench.machine import machine
from roomstream.brokers import EmbeddedBroker
from schemas.errors import ConfigurationError
from trainer.sources import MINILM

QUICK = 1 / 30
"""The share of the rows that --quick takes."""
LISTINGS = Path("../shared/data/listings")
_DECIDE = ("data", "stream", "csv", "seeds", "quick", "rows", "test", "methods", "model", "minutes")
"""Arguments that decide what a run finds: one that has all their defaults is the standard run."""


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = parser_of("make bench-learning", __doc__)
    add = parser.add_argument
    add("--data", type=Path, default=LISTINGS, help="a folder of CSV files")
    add("--stream", help="files of it in turn, such as nyc,dublin; else the standard streams")
    add("--csv", type=Path, help="a CSV with text,label,task,split instead; tasks come in turn")
    add("--seeds", type=int, default=3, help="how often everything is repeated (3)")
    add("--quick", action="store_true", help="one seed, 1/30 of all rows: shows that it runs")
    add("--rows", type=int, default=Size.rows, help=f"of each city or task ({Size.rows:,})")
    add("--test", type=int, default=Size.test, help=f"test rows of each ({Size.test:,})")
    add("--methods", default=",".join(METHODS), help=f"some of {', '.join(METHODS)}")
    add("--model", default=MINILM, help="as for 'roomstream base import'")
    add("--minutes", type=float, default=58, help="what is not done by then is left out (58)")
    cores = len(os.sched_getaffinity(0))
    add("--processes", type=int, default=cores, help=f"of one thread each ({cores})")
    add("--report", type=Path, help="write all figures to this file, as JSON")
    add("--go-on", action="store_true", help="take what --report has, and do what it left out")
    add("--docs", type=Path, help="write the page and pictures here; the standard run: docs/")
    kept = Path(tempfile.gettempdir()) / "roomstream-bench-learning"
    add("--kept", type=Path, default=kept, help="where tuned encoders are kept for the next run")
    given = parsed(parser, _DECIDE)
    if unknown := set(given.methods.split(",")) - set(METHODS):
        parser.error(f"--methods: there is no {', '.join(sorted(unknown))}")
    if given.go_on and not given.report:
        parser.error("--go-on: say with --report which file to go on from")
    return given


def main() -> None:
    """Run, print the page, and write what was asked for."""
    run(measure, arguments())


def measure(given: argparse.Namespace) -> None:
    """Run what the command line asks for."""
    size = Size(given.rows, given.test, QUICK if given.quick else 1.0)
    seeds = range(1 if given.quick else given.seeds)
    methods = tuple(name for name in METHODS if name in given.methods.split(","))
    results, minutes = _earlier(given.report, size) if given.go_on else ([], 0.0)
    left_out: list[LeftOut] = []
    started = time.time()
    with EmbeddedBroker() as broker:
        plan = Plan(
            data=given.data,
            files=tuple(given.stream.split(",")) if given.stream else (),
            csv=given.csv,
            size=size,
            methods=methods,
            source=given.model,
            servers=broker.bootstrap_servers,
            kept=given.kept,
            deadline=started + 60 * given.minutes,
            done=frozenset((each.stream, each.method, each.seed) for each in results),
        )
        about = {
            "model": given.model,
            "seeds": len(seeds),
            "rows": size.of(size.rows),
            "test rows": size.of(size.test),
            "minutes": minutes,
            **machine("onnxruntime", "torch", "transformers", "scikit-learn"),
        }
        for each in run_all(plan, seeds, given.processes):
            if isinstance(each, LeftOut):
                left_out.append(each)
            else:
                results.append(each)
            about["minutes"] = round(minutes + (time.time() - started) / 60, 1)
            if given.report:
                _write(given.report, about, results, left_out)
    pictures = draw(results, given.docs / "learning") if given.docs else {}
    addresses = {name: f"learning/{file}" for name, file in pictures.items()}
    text = page(results, left_out, about, addresses, _texts(given))
    where = "Only the full standard run writes to docs/ by itself; --docs DIR writes this page too."
    if given.docs:
        (given.docs / "learning.md").write_text(text)
        where = (
            f"Written to {given.docs / 'learning.md'}, with pictures in {given.docs / 'learning'}."
        )
    Console(soft_wrap=True, highlight=False).print(text, markup=False)
    Console(stderr=True, soft_wrap=True, highlight=False).print(where, markup=False)


def _texts(given: argparse.Namespace) -> str:
    """What is classified, in a sentence or two."""
    if given.csv:
        return f"Texts of {given.csv.name}, task after task; its split says which are the test."
    if given.data.resolve() == LISTINGS.resolve():
        return INSIDE_AIRBNB
    return f"Titles of {given.data}, title to room type; fold 0 is the test."


def _write(
    report: Path,
    about: Mapping[str, object],
    results: Sequence[Result],
    left_out: Sequence[LeftOut],
) -> None:
    """Write all figures so far, whole or not at all: whatever ends the run, --go-on has them."""
    figures = {
        "about": about,
        "results": msgspec.to_builtins(results),
        "left_out": [asdict(each) for each in left_out],
    }
    write_atomically(report, f"{json.dumps(figures, indent=2)}\n".encode())


def _earlier(report: Path, size: Size) -> tuple[list[Result], float]:
    """
    What a report holds, and how many minutes it took.

    Raises:
        ConfigurationError: It cannot be read, or is of another size.
    """
    try:
        content = json.loads(report.read_text())
        rows = (content["about"]["rows"], content["about"]["test rows"])
        results = msgspec.convert(content["results"], list[Result])
        minutes = float(content["about"]["minutes"])
    except (OSError, ValueError, KeyError, msgspec.ValidationError) as error:
        raise ConfigurationError(f"{report} is no report to go on from: {error}") from error
    if rows != (size.of(size.rows), size.of(size.test)):
        raise ConfigurationError(
            f"{report} is of {rows[0]:,} rows and {rows[1]:,} test rows: go on with --rows and --test."
        )
    return results, minutes
