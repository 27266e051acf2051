"""
The long run: workers, trainer and brokers of a three-node Kafka under a schedule of faults.

    make chaos
    make chaos ARGS="--seed 7 --delivery exactly-once --minutes 10 --report chaos.json"

The schedule is printed and follows from the seed: the same arguments do the same to the same.
"""

import argparse
import dataclasses
import json
import logging
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.machine import machine
from runtime.logs import configure_logs
from schemas.errors import ConfigurationError
from tests.chaos.cluster import Cluster
from tests.chaos.run import Run, counted
from tests.chaos.schedule import Kind, Plan, described
from tests.chaos.stage import Delivery, Stage
from tests.chaos.verdict import Verdict, judge
from tests.conftest import KAFKA_HOME

DELIVERIES: tuple[Delivery, ...] = ("exactly-once", "at-least-once")
_CONSOLE = Console(highlight=False)


def plan_of(minutes: float, kills: int, stops: int) -> Plan:
    """SIGKILLs over workers (60%), trainer and brokers (20% each), SIGSTOPs, and some of each other."""
    few, fewer = max(1, stops // 5), max(1, stops // 15)
    counts = dict.fromkeys(Kind, few) | {
        Kind.CUT_FOR_LONG: fewer,
        Kind.CRAWL: fewer,
        Kind.KILL_WORKER: kills - 2 * (kills // 5),
        Kind.KILL_TRAINER: kills // 5,
        Kind.KILL_BROKER: kills // 5,
        Kind.STOP_WORKER: stops,
    }
    return Plan(minutes * 60, counts)


def main() -> int:
    """Run, show and write what came of it; 0 if all is as promised."""
    arguments = _arguments()
    configure_logs("chaos", "ERROR")  # faults are shown, restarts are counted
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # brokers are gone all the time here
    try:
        verdicts = _played(arguments)
    except ConfigurationError as error:
        _CONSOLE.print(str(error), markup=False, soft_wrap=True)
        return error.exit_code
    if arguments.report:
        arguments.report.write_text(json.dumps(_report(arguments, verdicts), indent=2) + "\n")
    return 0 if all(verdict.whole for verdict in verdicts) else 1


def _played(arguments: argparse.Namespace) -> list[Verdict]:
    verdicts = []
    faults = plan_of(arguments.minutes, arguments.kills, arguments.stops).drawn(arguments.seed)
    with Cluster(arguments.nodes) as cluster:
        _CONSOLE.print(described(arguments.seed, faults))
        for delivery in arguments.delivery or DELIVERIES:
            folder = Path(tempfile.mkdtemp(prefix=f"chaos-{delivery}-"))
            _CONSOLE.rule(f"{delivery}, logs in {folder}")
            started = time.monotonic()
            with Stage(cluster, folder, delivery, f"{delivery}.") as stage:
                run = Run(stage, faults, arguments.workers, arguments.rate, _CONSOLE.print)
                verdicts.append(_outcome(stage, run))
            _show(verdicts[-1], arguments.seed, time.monotonic() - started)
    return verdicts


def _report(arguments: argparse.Namespace, verdicts: Sequence[Verdict]) -> dict[str, object]:
    clients = machine("roomstream", "kafka-python", "faust-streaming", "aiokafka")
    (server,) = KAFKA_HOME.glob("libs/kafka-clients-*.jar")
    given = ("seed", "minutes", "nodes", "workers", "rate")
    return {
        **{name: getattr(arguments, name) for name in given},
        "machine": clients | {"kafka": server.stem.removeprefix("kafka-clients-")},
        "runs": [dataclasses.asdict(verdict) for verdict in verdicts],
    }


def _outcome(stage: Stage, run: Run) -> Verdict:
    """Play and judge; a deployment that does not settle is a complaint too."""
    try:
        run.play()
        return judge(stage, run)
    except AssertionError as error:
        return Verdict(stage.delivery, counted(run.done), complaints=[str(error)])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--delivery", action="append", choices=DELIVERIES, help="both if not given")
    parser.add_argument("--minutes", type=float, default=10, help="of faults, for each delivery")
    parser.add_argument("--kills", type=int, default=105, help="SIGKILLs in all")
    parser.add_argument("--stops", type=int, default=32, help="SIGSTOPs past the session")
    parser.add_argument("--nodes", type=int, default=3, choices=(1, 3))
    parser.add_argument("--workers", type=int, default=3, choices=(2, 3, 4))
    parser.add_argument("--rate", type=int, default=100, help="listings a second")
    parser.add_argument("--report", type=Path, help="where to write what came of it, as JSON")
    return parser.parse_args()


def _show(verdict: Verdict, seed: int, seconds: float) -> None:
    table = Table(title=f"{verdict.delivery}, seed {seed}, {seconds:.0f} s", show_header=False)
    for name, value in dataclasses.asdict(verdict).items():
        shown = (
            ", ".join(f"{k}: {v}" for k, v in value.items()) if isinstance(value, dict) else value
        )
        if name not in ("delivery", "complaints"):
            table.add_row(name.replace("_", " "), str(shown))
    _CONSOLE.print(table)
    for complaint in verdict.complaints:
        _CONSOLE.print(f"NOT AS PROMISED: {complaint}", markup=False)
    if verdict.whole:
        _CONSOLE.print("All as promised.")


if __name__ == "__main__":
    sys.exit(main())
