"""The figures as a page with pictures."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median

import msgspec
from matplotlib.figure import Figure

from bench.pictures import file_name, save
from bench.speed.rounds import Ratio
from bench.speed.serving import OURS, PIPELINE, Serving
from bench.speed.start import Start
from bench.speed.workers import TRANSACTIONAL, Workers

INTRODUCTION = """# How fast it is

Written by `make bench ARGS="--docs docs"`; do not edit. Ways are measured side by side: every round runs
each of them once, and a ratio is the median over the rounds of the ratio of two ways in the same round,
with the least and the most. Compare ratios: seconds are those of one machine on one day. Everything runs
on one core. Models have random weights, which are as fast as trained ones.
"""

_SERVING = """## Serving: `make bench ARGS=serving`

Titles to labels, in windows of 256. *ONNX Runtime alone* gets inputs that were tokenised, sorted and
padded before the clock starts: nothing can be faster with this library. The Hugging Face pipeline has the
same weights, and so the same answers. *Of the limit* is the share of what this core does in 32-bit matrix
products (1024 by 1024) in the same round that becomes answers, padding left out. No title comes twice:
what is remembered of repeated ones (`WORKER_RECENT_TEXTS`) shows nowhere here.
"""


_WORKERS = """## Workers: `make bench ARGS=workers`

Events to results on a Kafka of one node on the same two cores: two processes of each worker, beside two
processes of ONNX Runtime alone, which has no Kafka beside it. The naive worker is a Faust agent that
calls the pipeline, in the code that people write (`bench/speed/naive_worker.py`).
"""


_START = """## Start: `make bench ARGS=start`

From the start of a worker's process to its first result, with its release in the cache and listings
waiting, and its memory after 256 listings beside that of a Python process that has a session with the
same encoder and nothing else.
"""


class Report(msgspec.Struct):
    """
    All figures of a run.

    Attributes:
        about: What they were measured on, and with.
        serving: By model.
        workers: By model.
        start: By model.
    """

    about: dict[str, str | int | float]
    serving: list[Serving] = []
    workers: list[Workers] = []
    start: list[Start] = []


def page(report: Report) -> str:
    """Write the page."""
    parts = [INTRODUCTION]
    if report.serving:
        parts.append(_SERVING)
        parts += [_serving(each) for each in report.serving]
    if report.workers:
        parts.append(_WORKERS)
        parts += [_workers(each) for each in report.workers]
    if report.start:
        parts += [_START, _start(report.start)]
    parts.append(
        f"Measured on: {', '.join(f'{key} {value}' for key, value in report.about.items())}."
    )
    return "\n".join(parts) + "\n"


def pictures(report: Report, folder: Path) -> None:
    """Draw an SVG for each table; the same figures give the same bytes."""
    found: list[Serving | Workers] = [*report.serving, *report.workers]
    for each in found:
        save(_bars(each), folder / _picture(each))


def _serving(measured: Serving) -> str:
    head = (
        measured.model, "of ONNX Runtime alone", "of the limit", "texts/s", "CPU ms a text",
        "padding",
    )  # fmt: skip
    lines = [_row(head), _row(["---"] * len(head))]
    for way, timing in measured.timings.items():
        lines.append(
            _row(
                (
                    way,
                    ratio(measured.against_ceiling(way)),
                    f"{measured.share_of_limit(way):.2f}",
                    f"{median(timing.rates):.0f}",
                    f"{timing.cpu_milliseconds:.2f}",
                    f"{measured.padding[way]:.2f}",
                )
            )
        )
    ours = measured.timings[OURS].rates
    times = " and ".join(
        f"{ratio(Ratio.of(ours, measured.timings[PIPELINE.format(size)].rates))} with batches of {size}"
        for size in (1, 32)
    )
    return "\n".join(
        [
            *lines,
            "",
            f"Times as fast as the Hugging Face pipeline: {times}.",
            f"The mean title has {measured.tokens:.1f} tokens.",
            "",
            f"![{measured.model}: speed of each way](performance/{_picture(measured)})",
            "",
        ]
    )


def _workers(measured: Workers) -> str:
    lines = [
        _row(
            (
                measured.model,
                "of ONNX Runtime alone",
                "exactly-once is so often as fast",
                "results/s",
            )
        ),
        _row(["---"] * 4),
    ]
    for way, rates in measured.rates.items():
        as_fast = ratio(Ratio.of(measured.rates[TRANSACTIONAL], rates))
        of_ceiling = ratio(measured.against_ceiling(way))
        lines.append(_row((way, of_ceiling, as_fast, f"{median(rates):.0f}")))
    picture = f"performance/{_picture(measured)}"
    return "\n".join([*lines, "", f"![{measured.model}: speed of each worker]({picture})", ""])


def _start(found: Sequence[Start]) -> str:
    lines = [
        _row(("", "first result", "memory, worker over bare session", "memory, MB")),
        _row(["---"] * 4),
    ]
    for each in found:
        seconds = each.first_result_seconds
        spread = f"{median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f})"
        megabytes = median(each.worker_bytes) / 1e6
        lines.append(_row((each.model, spread, f"{each.memory_ratio:.2f}", f"{megabytes:.0f}")))
    return "\n".join(lines) + "\n"


def _bars(measured: Serving | Workers) -> Figure:
    figure = Figure(figsize=(8, 2.5))
    axes = figure.subplots()
    ways = list(reversed(measured.ways))
    ratios = [measured.against_ceiling(way) for way in ways]
    spreads = [
        [each.median - each.least for each in ratios],
        [each.most - each.median for each in ratios],
    ]
    axes.barh(ways, [each.median for each in ratios], xerr=spreads, capsize=3)
    axes.set_xlabel(f"{measured.model}: speed, as a share of ONNX Runtime alone")
    axes.grid(axis="x", alpha=0.3)
    return figure


def _picture(measured: Serving | Workers) -> str:
    return file_name(f"{type(measured).__name__} {measured.model}")


def ratio(found: Ratio) -> str:
    """A ratio with its spread, such as `0.98 (0.97 to 0.99)`."""
    return f"{found.median:.2f} ({found.least:.2f} to {found.most:.2f})"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
