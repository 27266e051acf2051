"""All arms on some processes, with progress."""

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.people.arms import Arm
from bench.people.cities import City, Source
from bench.people.passing import Pass, Result

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run_all(
    source: Source,
    cities: Sequence[str],
    arms: Sequence[Arm],
    seeds: Sequence[int],
    learner: str,
    processes: int,
) -> Iterator[Result]:
    """
    Encode the cities, then run every arm on each with each seed.

    Yields:
        What was found, as it comes.

    Raises:
        Exception: Whatever a job raised.
    """
    for name in _ONE_THREAD:
        os.environ[name] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    spawn = multiprocessing.get_context("spawn")
    jobs = [(city, seed, arm) for seed in seeds for city in cities for arm in arms]
    with ProcessPoolExecutor(processes, mp_context=spawn) as pool, _bars() as bars:
        encoding = bars.add_task("Encoding titles (kept for the next run)", total=len(cities))
        for done in as_completed([pool.submit(_encode, source, city) for city in cities]):
            done.result()
            bars.advance(encoding)
        running = bars.add_task("All passes", total=len(jobs))
        futures = [pool.submit(_run, source, *job, learner) for job in jobs]
        try:
            for future in as_completed(futures):
                result = future.result()
                bars.advance(running)
                bars.console.print(_line(result), highlight=False)
                yield result
        finally:
            for future in futures:
                future.cancel()


def _encode(source: Source, city: str) -> None:
    source.city(city, 0)


def _run(source: Source, city: str, seed: int, arm: Arm, learner: str) -> Result:
    return Pass(arm, _city(source, city, seed), learner).run()


@lru_cache(maxsize=1)
def _city(source: Source, name: str, seed: int) -> City:
    return source.city(name, seed)


def _line(result: Result) -> str:
    last = result.looks[-1]
    return (
        f"{result.city}, seed {result.seed}: {result.arm}: {last.labels:,} labels, accuracy "
        f"{last.accuracy:.1%}, macro-F1 {last.macro_f1:.1%}"
    )


def _bars() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True, soft_wrap=True),
        transient=True,
    )
