"""
How fast roomstream is, beside what people use today and beside what this machine can do.

    make bench
    make bench ARGS="serving --texts 256 --rounds 3 --report speed.json"
    make bench ARGS="workers --bootstrap-servers kafka-1:9092 --docs docs"
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bench.brokers import kafka_node
from bench.machine import machine
from bench.speed import serving, start, workers
from bench.speed.models import SIZES
from bench.speed.report import Report, page, pictures
from bench.speed.titles import titles
from schemas.errors import RoomstreamError

PARTS = ("serving", "workers", "start")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="make bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}; else all")
    add("--data", type=Path, default=Path("../shared/data/listings"), help="a folder of listings")
    add("--models", default=",".join(SIZES), help=f"some of {', '.join(SIZES)}")
    add("--texts", type=int, default=2048, help="titles of a round (2,048); serving takes 512")
    add("--rounds", type=int, default=7, help="of which the median counts (7)")
    add("--bootstrap-servers", help="a Kafka; else one is started from KAFKA_HOME")
    add("--report", type=Path, help="write all figures to this file, as JSON")
    add("--docs", type=Path, help="write performance.md and its pictures to this folder")
    given = parser.parse_args()
    for kind, chosen, known in (
        ("PART", given.parts, PARTS),
        ("--models", given.models.split(","), SIZES),
    ):
        if unknown := set(chosen) - set(known):
            parser.error(f"{kind}: there is no {', '.join(sorted(unknown))}")
    return given


def main() -> None:
    """Measure, print the page, and write what was asked for."""
    given = arguments()
    try:
        report = measured(given)
    except RoomstreamError as error:
        Console(stderr=True, soft_wrap=True).print(str(error), markup=False, highlight=False)
        sys.exit(error.exit_code)
    if given.docs:
        pictures(report, given.docs / "performance")
        (given.docs / "performance.md").write_text(page(report))
    if given.report:
        given.report.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    Console(soft_wrap=True, highlight=False).print(page(report), markup=False)


def measured(given: argparse.Namespace) -> Report:
    """
    Measure what the command line asks for.

    Raises:
        RoomstreamError: A file or a model is missing.
    """
    texts = titles(given.data, given.texts)
    about = {
        "titles": f"{len(texts)} {'real' if given.data.is_dir() else 'generated'} ones",
        "rounds": given.rounds,
        **machine("onnxruntime", "torch", "transformers", "tokenizers"),
    }
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Measuring")
        tick: Callable[[str], None] = lambda what: bar.update(task, description=what)  # noqa: E731
        parts = given.parts or PARTS
        sizes = [SIZES[name] for name in given.models.split(",")]
        report = Report(about)
        if "serving" in parts:
            report.serving += [serving.measure(size, texts, given.rounds, tick) for size in sizes]
        if {"workers", "start"} & set(parts):
            with kafka_node(given.bootstrap_servers) as servers:
                run = texts, given.rounds, servers, tick
                if "workers" in parts:
                    report.workers += [workers.measure(size, *run) for size in sizes]
                if "start" in parts:
                    report.start += [start.measure(size, *run) for size in sizes]
    return report
