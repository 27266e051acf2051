"""
How soon a killed worker's partitions are answered again.

Two workers with stable slots share the partitions under steady traffic, on one node of Kafka, with a
session timeout of 6 s. One of them gets SIGKILL; a supervisor starts it again. The clock runs from the
signal to the next answer that a reader with `isolation.level=read_committed` sees of a listing that the
dead worker would have answered.

    make bench-recovery
    make bench-recovery ARGS="--kills 20 --delivery at-least-once --json recovery.json"
"""

import argparse
import json
import platform
import statistics
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from rich.console import Console

from roomstream.reading import TopicReader
from runtime.logs import configure_logs
from schemas.topics import Topic
from tests.chaos.cluster import Cluster
from tests.chaos.service import Service
from tests.chaos.stage import SESSION_SECONDS, Stage
from tests.processes import eventually
from tests.workers.traffic import Traffic

SLOTS = (2, 3)
DELIVERIES = ("exactly-once", "at-least-once")


class Answers:
    """When an answer of each partition was last seen, read in a thread. A context manager."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._seen_at: dict[int, list[tuple[float, float]]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="answers")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def first_after(self, partition: int, moment: float) -> float | None:
        """When the first answer was seen that was written after a moment (seconds since 1970)."""
        seen = self._seen_at.get(partition, [])
        return next((at for written, at in list(seen) if written > moment), None)

    def _read(self) -> None:
        with TopicReader(self._stage.kafka, self._stage.prefix, Topic.CLASSIFIED) as reader:
            while not self._stop.is_set():
                for record in reader.poll(0.05):
                    pair = (record.timestamp_ms / 1000, time.time())
                    self._seen_at.setdefault(record.partition, []).append(pair)


def recovery_seconds(victim: Service, answers: Answers, limit_seconds: float = 60) -> float:
    """Kill a worker; the longest that one of its partitions went without an answer."""
    partitions = victim.partitions()
    killed_at = time.time()
    victim.kill()

    def answered() -> list[float | None]:
        return [answers.first_after(partition, killed_at) for partition in partitions]

    eventually(lambda: None not in answered(), "every partition is answered again", limit_seconds)
    return max(at for at in answered() if at is not None) - killed_at


def measure(stage: Stage, kills: int, console: Console) -> list[float]:
    """Kill one worker after the other, each time when both have their share again."""
    workers = [stage.workers[slot] for slot in SLOTS]
    for worker in workers:
        worker.want()
    found = []
    with Answers(stage) as answers, Traffic(stage.kafka, stage.prefix).flowing():
        for kill in range(kills):
            eventually(
                lambda: all(worker.ready() and worker.partitions() for worker in workers),
                "both share the partitions",
                90,
            )
            time.sleep(kill % 5 * 0.1)  # at another moment of its window each time
            found.append(recovery_seconds(workers[kill % 2], answers))
            console.print(f"kill {kill + 1:2} of {kills}: {found[-1]:.2f} s")
    return found


def main() -> int:
    """Measure, show and write; 0 if the median is under the limit."""
    arguments = _arguments()
    configure_logs("bench", "ERROR")
    console = Console(highlight=False)
    with (
        Cluster(1) as cluster,
        tempfile.TemporaryDirectory() as folder,
        Stage(cluster, Path(folder) / "stage", arguments.delivery) as stage,
    ):
        found = measure(stage, arguments.kills, console)
    median, most = statistics.median(found), max(found)
    console.print(
        f"{arguments.delivery}: from SIGKILL to the next answer median {median:.1f} s, most {most:.1f} s "
        f"({len(found)} kills, session timeout {SESSION_SECONDS} s)"
    )
    if arguments.json:
        report = {
            "measured_at": datetime.now(UTC).isoformat(),
            "machine": platform.platform(),
            "delivery": arguments.delivery,
            "session_timeout_seconds": SESSION_SECONDS,
            "seconds": [round(each, 2) for each in found],
            "median_seconds": round(median, 2),
            "most_seconds": round(most, 2),
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0 if median < arguments.limit else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-recovery", description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--delivery", choices=DELIVERIES, default=DELIVERIES[0])
    parser.add_argument("--limit", type=float, default=10, help="the most that the median may be")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
