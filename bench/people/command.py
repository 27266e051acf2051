"""
What people's labels and feedback are worth, beside labels of everything.

    make bench-people
    make bench-people ARGS="--quick"
    make bench-people ARGS="--measure-nothing"
    make bench-people ARGS="--cities sevilla,dublin --learner slda --docs somewhere"
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import msgspec
from rich.console import Console

from artefacts.store import write_atomically
from bench.command_line import earlier, parsed, parser_of, run
from bench.machine import machine
from bench.people.arms import ARMS
from bench.people.cities import Source
from bench.people.page import page
from bench.people.passing import Result
from bench.people.pictures import draw
from bench.people.running import run_all
from trainer.learners import LEARNERS

LISTINGS = Path("../shared/data/listings")
CITIES = "nyc,madrid"
ROWS, POOL, TEST, SEEDS = 10_000, 12_000, 3_000, 5
FIGURES = Path("people") / "figures.json"
"""Where `--docs` keeps them."""
QUICK = 1 / 25
"""The share of the listings that --quick takes."""
_DECIDE = ("data", "cities", "seeds", "quick", "learner")
"""Arguments that decide what a run finds: one that has all their defaults writes to docs/."""


class Figures(msgspec.Struct, frozen=True):
    """
    All that a run has found, as it is kept.

    Attributes:
        about: How and on what it was measured.
        results: Of every arm, in order.
    """

    about: dict[str, object]
    results: list[Result]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = parser_of("make bench-people", __doc__)
    add = parser.add_argument
    add("--data", type=Path, default=LISTINGS, help="a folder of CSV files")
    add("--cities", default=CITIES, help=f"files of it ({CITIES})")
    add("--seeds", type=int, default=SEEDS, help=f"how often everything is repeated ({SEEDS})")
    add("--quick", action="store_true", help="one seed, 1/25 of all listings: shows that it runs")
    add("--learner", default="mixture", choices=sorted(LEARNERS), help="as TRAINER_LEARNER has it")
    add("--measure-nothing", action="store_true", help="write the page anew from its figures")
    cores = len(os.sched_getaffinity(0))
    add("--processes", type=int, default=cores, help=f"of one thread each ({cores})")
    add("--docs", type=Path, help="write page, pictures and figures here; the standard run: docs/")
    kept = Path(tempfile.gettempdir()) / "roomstream-bench-people"
    add("--kept", type=Path, default=kept, help="where encoded titles are kept for the next run")
    return parsed(parser, _DECIDE)


def main() -> None:
    """Run, print the page, and write what was asked for."""
    run(measure, arguments())


def measure(given: argparse.Namespace) -> None:
    """Run what the command line asks for, or write the page of an earlier run anew."""
    if given.measure_nothing:
        figures = earlier((given.docs or Path("docs")) / FIGURES, Figures)
    else:
        figures = _measured(given)
    where = "Only the full standard run writes to docs/ by itself; --docs DIR writes this page too."
    pictures: dict[str, str] = {}
    if given.docs:
        folder = (given.docs / FIGURES).parent
        pictures = {city: f"people/{file}" for city, file in draw(figures.results, folder).items()}
        written = msgspec.json.format(msgspec.json.encode(figures), indent=1)
        write_atomically(given.docs / FIGURES, written + b"\n")
        where = f"Written to {given.docs / 'people.md'}, with pictures and figures in {folder}."
    text = page(figures.results, figures.about, pictures)
    if given.docs:
        write_atomically(given.docs / "people.md", text.encode())
    Console(soft_wrap=True, highlight=False).print(text, markup=False)
    Console(stderr=True, soft_wrap=True, highlight=False).print(where, markup=False)


def _measured(given: argparse.Namespace) -> Figures:
    share = QUICK if given.quick else 1.0
    rows, pool, test = (round(share * count) for count in (ROWS, POOL, TEST))
    seeds = range(1 if given.quick else given.seeds)
    source = Source(given.data, rows, pool, test, given.kept)
    started = time.time()
    results = list(
        run_all(source, given.cities.split(","), ARMS, seeds, given.learner, given.processes)
    )
    results.sort(key=lambda each: (given.cities.find(each.city), each.seed, each.arm))
    about = {
        "learner": given.learner,
        "seeds": len(seeds),
        "rows": rows,
        "pool": pool,
        "test rows": test,
        "minutes": round((time.time() - started) / 60, 1),
        **machine("onnxruntime", "numpy", "scikit-learn"),
    }
    return Figures(about, results)
