"""All jobs on some processes, with progress."""

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from queue import Empty, Queue

import torch
import transformers
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.learning.job import Doing, LeftOut, News, Plan, jobs, run_job
from bench.learning.results import Result
from bench.learning.table import METHODS
from runtime.logs import configure_logs

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run_all(plan: Plan, seeds: Sequence[int], processes: int) -> Iterator[Result | LeftOut]:
    """
    Run every job, each in a process of one thread.

    Yields:
        What was found, and what there was no time for, as it comes.

    Raises:
        Exception: Whatever a job raised.
    """
    for name in _ONE_THREAD:
        os.environ[name] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    streams = plan.streams(seeds[0])
    runs = [
        (stream.name, name, seed)
        for group in streams
        for stream in group
        for name in plan.methods
        for seed in seeds
        if plan.wants(stream, name, seed)
    ]
    wanted = {(stream, seed) for stream, _, seed in runs}
    spawn = multiprocessing.get_context("spawn")
    with (
        spawn.Manager() as manager,
        ProcessPoolExecutor(processes, mp_context=spawn, max_tasks_per_child=1) as pool,
        _view(len(runs)) as view,
    ):
        news: Queue[News] = manager.Queue()
        futures = [
            pool.submit(_work, plan, group, seed, news)
            for group, seed in jobs(len(streams), seeds)
            if {(stream.name, seed) for stream in streams[group]} & wanted
        ]
        for each in _until_done(news, futures):
            view.show(each)
            if not isinstance(each, Doing):
                yield each


def _work(plan: Plan, group: int, seed: int, news: "Queue[News]") -> None:
    """A job, in a process of its own."""
    configure_logs("bench", "ERROR")
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    torch.set_num_threads(1)
    run_job(plan, group, seed, news.put)


def _until_done(news: "Queue[News]", futures: Sequence["Future[None]"]) -> Iterator[News]:
    """All news, until every job is done; a job that failed ends the others."""
    while True:
        done = [future for future in futures if future.done()]
        for future in done:
            if error := future.exception():
                for other in futures:
                    other.cancel()
                raise error
        try:
            yield news.get(timeout=0.2)
        except Empty:
            if len(done) == len(futures):
                return


class _View:
    """A bar over all runs, a bar for what each job does, and a line for each run that is done."""

    def __init__(self, bars: Progress, runs: int) -> None:
        self._bars = bars
        self._all = bars.add_task("All runs", total=runs)
        self._doing: dict[tuple[int, int], tuple[str, int]] = {}

    def show(self, news: News) -> None:
        """Show what a job tells."""
        if isinstance(news, Doing):
            self._move(news)
            return
        self._bars.advance(self._all)
        self._bars.console.print(_line(news), highlight=False)

    def _move(self, news: Doing) -> None:
        job = news.group, news.seed
        text = f"{news.what} (seed {news.seed})"
        before, bar = self._doing.get(job, ("", -1))
        if before != text:
            if bar >= 0:
                self._bars.remove_task(bar)  # type: ignore[arg-type] # TaskID is an int
            bar = self._bars.add_task(text, total=1.0)
            self._doing[job] = text, bar
        self._bars.update(bar, completed=news.share)  # type: ignore[arg-type]


def _line(news: Result | LeftOut) -> str:
    title = f"{news.stream}, seed {news.seed}: {METHODS[news.method].title}"
    if isinstance(news, LeftOut):
        return f"{title}: left out, the time is over"
    scores = news.scores
    return (
        f"{title}: accuracy {scores.accuracy:.1%}, macro-F1 {scores.macro_f1:.1%}, "
        f"{news.cpu_seconds_per_1000_labels:.1f} CPU-s a 1,000 labels"
    )


@contextmanager
def _view(runs: int) -> Iterator[_View]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True, soft_wrap=True), transient=True) as bars:
        yield _View(bars, runs)
