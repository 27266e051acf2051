"""
How fast roomstream is, beside what people use today and beside what this machine can do.

    make bench
    make bench ARGS="serving --texts 256 --rounds 3 --report speed.json"
    make bench ARGS="workers --bootstrap-servers kafka-1:9092 --docs docs"
    make bench ARGS="--docs docs --measure-nothing"
    make bench-check
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bench.brokers import kafka_node
from bench.machine import machine
from bench.speed import (
    latency,
    learning,
    scale,
    serving,
    shortcuts,
    soak,
    start,
    swap,
    workers,
)
from bench.speed.check import compared
from bench.speed.models import SIZES
from bench.speed.parts import Aim, Measured, Part, Run
from bench.speed.releases import BLOCKS
from bench.speed.report import About, Section, page, pictures, read, written
from bench.speed.titles import titles
from schemas.errors import ExitCode, RoomstreamError

_MEASURED = serving, shortcuts, workers, latency, swap, learning, start, scale, soak
PARTS = {module.PART.name: module.PART for module in _MEASURED}
FIGURES = Path("performance") / "figures.json"
"""Where `--docs` keeps them."""


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
    add("--texts", type=int, default=8192, help="titles; most parts take fewer (8,192)")
    add("--rounds", type=int, default=7, help="of which the median counts (7)")
    add("--seconds", type=float, default=60, help="how long a load lasts (60)")
    add("--releases", type=int, default=500, help="so many are taken up under load (500)")
    add("--bootstrap-servers", help="a Kafka; else one is started from KAFKA_HOME")
    add("--report", type=Path, help="write all figures to this file, as JSON")
    add(
        "--docs",
        type=Path,
        help="write performance.md, its figures and pictures to this folder; parts that do not run stay",
    )
    add("--measure-nothing", action="store_true", help="write the page anew from its figures")
    add("--check", type=Path, metavar="FIGURES", help="fail if ratios are worse than in this file")
    add("--tolerance", type=float, default=0.1, help="by so large a share they may be worse (0.1)")
    given = parser.parse_args()
    if given.releases < 2 * BLOCKS or given.releases % BLOCKS:
        parser.error(f"--releases: they are cut into {BLOCKS} blocks of two at least")
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
        before = read(given.check, PARTS) if given.check else {}
        figures = given.docs / FIGURES if given.docs else None
        kept = read(figures, PARTS) if figures and figures.is_file() else {}
        if given.measure_nothing and given.docs:
            _write(given.docs, kept)
        found: dict[str, Section] = {}
        for name, section in () if given.measure_nothing else _measured(given):
            found[name] = section
            if given.docs:
                _write(given.docs, kept | found)
    except RoomstreamError as error:
        Console(stderr=True, soft_wrap=True).print(str(error), markup=False, highlight=False)
        sys.exit(error.exit_code)
    if given.report:
        given.report.write_bytes(written(found))
    console = Console(soft_wrap=True, highlight=False)
    console.print(page(PARTS, found), markup=False)
    if given.check:
        sys.exit(_checked(console, compared(_aims(found), _aims(before), given.tolerance), given))


def _write(docs: Path, sections: Mapping[str, Section]) -> None:
    pictures(sections, (docs / FIGURES).parent)
    (docs / FIGURES).write_bytes(written(sections))
    (docs / "performance.md").write_text(page(PARTS, sections))


def _aims(sections: Mapping[str, Section]) -> list[Aim]:
    return [aim for section in sections.values() for aim in section.aims]


def _checked(console: Console, lines: Sequence[tuple[str, bool]], given: argparse.Namespace) -> int:
    for line, good in lines:
        console.print(f"{'ok' if good else 'FAILED'}  {line}", markup=False)
    bad = sum(not good for _, good in lines)
    if not lines:
        console.print(
            f"{given.check} has none of these ratios: nothing was compared.", markup=False
        )
        return ExitCode.FAILED
    if bad:
        console.print(
            f"{bad} of {len(lines)} ratios are more than {given.tolerance:.0%} worse than in "
            f"{given.check}. Run it again on a quiet machine; if it stays, profile what changed since.",
            markup=False,
        )
        return ExitCode.FAILED
    console.print(f"All {len(lines)} ratios are as in {given.check}, or better.", markup=False)
    return ExitCode.DONE


def _measured(given: argparse.Namespace) -> Iterator[tuple[str, Section]]:
    """What a part has found so far, after each of its models: an hour is not lost in its last minute."""
    chosen = [PARTS[name] for name in given.parts or PARTS]
    texts = titles(given.data, given.texts)
    about: About = {
        "titles": f"{len(texts)} {'real' if given.data.is_dir() else 'generated'} ones",
        "rounds": given.rounds,
        **machine("onnxruntime", "torch", "transformers", "tokenizers"),
    }
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Measuring")
        run = Run(
            [SIZES[name] for name in given.models.split(",")],
            texts,
            given.rounds,
            given.seconds,
            given.releases,
            lambda what: bar.update(task, description=what),
            given.data,
        )
        # Kafka takes a core's time even when it idles: parts that need none run without.
        beside = [part for part in chosen if part.on_kafka]
        for part in chosen:
            if not part.on_kafka:
                yield from _sections(part, run, about)
        with kafka_node(given.bootstrap_servers) if beside else nullcontext("") as servers:
            for part in beside:
                yield from _sections(part, replace(run, servers=servers), about)


def _sections(part: Part, run: Run, about: About) -> Iterator[tuple[str, Section]]:
    results: list[Measured] = []
    for result in part.measure(run):
        results.append(result)
        yield part.name, Section.of(about, results)
