"""
What a small student learns of a teacher on real listings, beside labels alone, and how fast it is.

    make bench-transfer
    make bench-transfer ARGS="--quick"
    make bench-transfer ARGS="--measure-nothing"
    make bench-transfer ARGS="--data DIR --cities dublin --rows 4000 --docs there"
"""

import argparse
import time
from pathlib import Path

import msgspec
import torch
from rich.console import Console

from artefacts.store import write_atomically
from bench.command_line import earlier, parsed, parser_of, run
from bench.machine import machine
from bench.pictures import file_name
from bench.transfer.data import lessons
from bench.transfer.report import Figures, page
from bench.transfer.running import judge, train
from trainer.pictures import save
from trainer.transfer.curve import draw
from trainer.transfer.plan import Pace

LISTINGS = Path("../shared/data/listings")
FIGURES = Path("transfer") / "figures.json"
"""Where `--docs` keeps them."""
QUICK = 1 / 40
"""The share of the rows that --quick takes."""
_DECIDE = ("data", "cities", "rows", "test", "epochs", "seed", "quick")

_notes = Console(stderr=True, soft_wrap=True, highlight=False)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = parser_of("make bench-transfer", __doc__)
    add = parser.add_argument
    add("--data", type=Path, default=LISTINGS, help="a folder of CSV files")
    add("--cities", default="nyc,madrid", help="files of it (nyc,madrid)")
    add("--rows", type=int, default=12_000, help="that are learned, in all (12,000)")
    add("--test", type=int, default=5_000, help="of fold 0, in all (5,000)")
    add("--epochs", type=float, default=3.0, help="of each training (3)")
    add("--seed", type=int, default=0, help="of rows and trainings (0)")
    add("--quick", action="store_true", help="1/40 of all rows: shows that it runs")
    add("--measure-nothing", action="store_true", help="write the page anew from its figures")
    add("--report", type=Path, help="write all figures to this file, as JSON")
    add("--docs", type=Path, help="write the page and pictures here; the standard run: docs/")
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
    pictures = {each.name: f"transfer/{file_name(each.name)}" for each in figures.models}
    text = page(figures, pictures)
    written = msgspec.json.format(msgspec.json.encode(figures)) + b"\n"
    if given.report:
        write_atomically(given.report, written)
    if given.docs:
        for each in figures.models:
            save(draw(each.curve, each.best_step, each.name), given.docs / pictures[each.name])
        write_atomically(given.docs / FIGURES, written)
        (given.docs / "transfer.md").write_text(text)
    Console(soft_wrap=True, highlight=False).print(text, markup=False)


def _measured(given: argparse.Namespace) -> Figures:
    torch.set_num_threads(1)
    about: dict[str, object] = dict(machine("onnxruntime", "torch", "transformers"))
    share = QUICK if given.quick else 1.0
    cities = given.cities.split(",")
    taught = lessons(
        given.data, cities, int(given.rows * share), int(given.test * share), given.seed
    )
    models, tokens = train(taught, Pace(given.epochs, seed=given.seed), _say)
    found, gained = judge(models, tokens, taught)
    about |= {
        "taught": len(taught.taught),
        "tested": len(tokens),
        "cities": " and ".join(cities),
        "minutes": round(time.process_time() / 60, 1),
    }
    return Figures(about, found, gained)


def _say(what: str) -> None:
    _notes.print(what, markup=False)
