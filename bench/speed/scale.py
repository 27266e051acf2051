"""More workers: one, two and four here, and up to a thousand in a simulation that these calibrate."""

import tempfile
import time
from contextlib import ExitStack
from math import isfinite
from pathlib import Path
from statistics import median

import msgspec
import psutil
from matplotlib.figure import Figure

from artefacts.graphs import Encoder
from artefacts.manifest import ENCODER
from bench.speed.answering import Alone, Pace, answering, background_cores
from bench.speed.costs import GROUPS, BrokerCosts, GroupCosts, broker_costs, group_costs
from bench.speed.models import Size
from bench.speed.parts import Aim, Part, Run, spread, table
from bench.speed.releases import taught_head
from bench.speed.rounds import Ratio
from bench.speed.simulation import (
    Cluster,
    Costs,
    bottleneck,
    drained,
    rebalance_seconds,
    release_seconds,
)
from bench.speed.stage import PARTITIONS, Model, Stage
from roomstream.ports import reserved_port
from runtime.settings import KafkaSettings, load

HERE = (1, 2, 4)
CLUSTERS = ((1, 12), (10, 120), (100, 1_200), (300, 3_600), (1_000, 10_000))
"""Workers and partitions."""
BROKERS, BROKER_CORES = 3, 8
_EVENTS = 10_000_000
_OUTAGE_SECONDS = 600
_LOAD = 0.7


class Scale(msgspec.Struct, frozen=True):
    """
    What was measured with one model.

    Attributes:
        model: Its name.
        alone: Texts a second of ONNX Runtime alone by number of processes, round by round.
        paces: By number of workers, round by round.
        background: Cores that brokers and system take while nobody answers, round by round.
        group: How long a group takes to meet.
        brokers: What they take for messages and transactions.
        head_bytes: Of the head of a learner that has learned on.
        encoder_bytes: Of the model.
        load_seconds: To load it.
    """

    model: str
    alone: dict[int, list[float]]
    paces: dict[int, list[Pace]]
    background: list[float]
    group: GroupCosts
    brokers: BrokerCosts
    head_bytes: int
    encoder_bytes: int
    load_seconds: float

    @property
    def title(self) -> str:
        """The model."""
        return self.model

    def aims(self) -> list[Aim]:
        """Twice as many do nearly twice as much."""
        found = Ratio.of(self._rates(2), self._rates(1))
        return [Aim(what=f"2 workers against 1, {self.model}", aim=1.9, better="more", found=found)]

    def table(self) -> str:
        """What was measured beside what is simulated, and what a cluster would do."""
        measured = [
            (
                str(workers),
                f"{median(self._rates(workers)):.0f}",
                spread(Ratio.of(self._rates(workers), self._rates(1))),
                f"{self._here(workers):.0f}",
                f"{self._here(workers) / median(self._rates(workers)) - 1:+.0%}",
            )
            for workers in HERE
        ]
        head = (
            f"{self.model}, workers here", "results/s", "of one", "simulated results/s", "error",
        )  # fmt: skip
        limit = Ratio.of(self.alone[2], self.alone[1])
        reached = Ratio.of(self._rates(2), self._rates(1)).median / limit.median
        return (
            f"{table(head, measured)}\n\nONNX Runtime alone, without Kafka: two processes do "
            f"{spread(limit)} times what one does. Of that, two workers reach {reached:.2f}. With nobody "
            f"answering, brokers and system take {median(self.background):.2f} cores."
            f"\n\n{self._clusters()}"
        )

    def figure(self) -> Figure:
        """Rates over workers, here and simulated."""
        figure = Figure(figsize=(8, 3))
        axes = figure.subplots()
        axes.plot(HERE, [median(self._rates(each)) for each in HERE], "o", label="measured here")
        axes.plot(HERE, [self._here(each) for each in HERE], "x", label="simulated, these cores")
        sizes = [workers for workers, _ in CLUSTERS]
        rates = [drained(self._costs, _cluster(*each), _EVENTS).rate for each in CLUSTERS]
        axes.plot(sizes, rates, marker="x", label="simulated, a core a worker")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(f"{self.model}: workers")
        axes.set_ylabel("results/s")
        axes.grid(alpha=0.3)
        axes.legend()
        return figure

    def _rates(self, workers: int) -> list[float]:
        return [pace.rate for pace in self.paces[workers]]

    @property
    def _costs(self) -> Costs:
        """What one worker here shows: it waits for each commit, and needs the rest for its listings."""
        alone = [(pace.rate, pace.work) for pace in self.paces[1] if pace.work]
        waits = median(work.stages["deliver"] for _, work in alone)  # for a listing
        return Costs(
            text_seconds=median(1 / rate for rate, _ in alone) - waits,
            window_seconds=waits * median(work.titles for _, work in alone),
            broker_text_seconds=2 * self.brokers.message_seconds,  # the listing, and its result
            broker_commit_seconds=self.brokers.commit_seconds,
            join_seconds=self.group.join_seconds,
            member_seconds=self.group.member_seconds,
            head_bytes=self.head_bytes,
            encoder_bytes=self.encoder_bytes,
            load_seconds=self.load_seconds,
        )

    def _here(self, workers: int) -> float:
        cores = (psutil.cpu_count() or 1) - median(self.background)
        return drained(self._costs, Cluster(workers, PARTITIONS, cores), 20_000).rate

    def _clusters(self) -> str:
        head = (
            "simulated: workers / partitions", "results/s", "of one worker each", "brokers busy",
            "10 min of lag are gone in", "a rebalance stops all for", "new head everywhere",
            "new encoder everywhere", "what limits", "the setting that moves it",
        )  # fmt: skip
        rows = []
        for workers, partitions in CLUSTERS:
            cluster = _cluster(workers, partitions)
            full = drained(self._costs, cluster, _EVENTS)
            arriving = _LOAD * full.rate
            lag = drained(self._costs, cluster, int(arriving * _OUTAGE_SECONDS), arriving)
            limit, setting = bottleneck(self._costs, cluster, _EVENTS)
            rows.append(
                (
                    f"{workers:,} / {partitions:,}",
                    f"{full.rate:,.0f}",
                    f"{full.rate * self._costs.text_seconds / workers:.2f}",
                    f"{full.broker_share:.0%}",
                    f"{lag.seconds / 60:.0f} min" if isfinite(lag.seconds) else "not in an hour",
                    f"{rebalance_seconds(self._costs, cluster):.1f} s",
                    f"{release_seconds(self._costs, cluster, encoder=False):.1f} s",
                    f"{release_seconds(self._costs, cluster, encoder=True):.0f} s",
                    limit,
                    setting,
                )
            )
        return table(head, rows)


def _cluster(workers: int, partitions: int) -> Cluster:
    return Cluster(workers, partitions, workers, broker_cores=BROKERS * BROKER_CORES)


def measure(size: Size, run: Run) -> Scale:
    """
    Let one, two and four workers (exactly-once) answer the same titles.

    Args:
        size: Of the model.
        run: Titles, and how often.
    """
    kafka = load(KafkaSettings, bootstrap_servers=run.servers)
    run.tick(f"{size.name}: what brokers take")
    brokers, group = broker_costs(kafka), group_costs(kafka)
    with tempfile.TemporaryDirectory(prefix="roomstream-bench-") as folder:
        model = Model.made(size, Path(folder))
        encoder = model.imported.parts[ENCODER]
        alone: dict[int, list[float]] = {processes: [] for processes in (1, 2)}
        paces: dict[int, list[Pace]] = {workers: [] for workers in HERE}
        background = []
        stages = {workers: Stage.made(model, run.servers) for workers in HERE}
        with ExitStack() as stack:
            onnx = {
                processes: stack.enter_context(Alone(model.source, run.texts, processes))
                for processes in alone
            }
            for number in range(run.rounds):
                run.tick(f"{size.name}: round {number + 1} of {run.rounds}")
                background.append(background_cores())
                for processes, found in alone.items():
                    found.append(onnx[processes].pace().rate)
                for workers, stage in stages.items():
                    run.tick(f"{size.name}: round {number + 1} of {run.rounds}: {workers} workers")
                    with ExitStack() as reserved:
                        ports = [reserved.enter_context(reserved_port()) for _ in range(workers)]
                        commands = stage.workers("exactly-once", ports, "--recent-texts", "0")
                        rate = 0.8 * alone[min(workers, 2)][-1]
                        # The others do not run: workers that wait take their share of two cores.
                        with answering(stage, commands, run.texts, rate, ports) as answerers:
                            paces[workers].append(answerers.pace())
        started = time.perf_counter()
        Encoder(encoder)
        load_seconds = time.perf_counter() - started
        head = taught_head(model, run.texts[:2048])
    return Scale(
        size.name, alone, paces, background, group, brokers, len(head), len(encoder), load_seconds
    )


_ABOUT = f"""\
Workers (exactly-once) on the same two cores as Kafka and the reader: four are more than there are
cores. One has a core to itself, with brokers, sender and reader on the other; two share theirs with them,
which take a share of both (*Workers* says how much each model leaves; the smaller the model, the more
they take), so that 1.8 to 1.9 times is what there is to be had here, if both cores give as much as one
alone does. Brokers on machines of their own move that.

The simulation (`bench/speed/simulation.py`) is of discrete events, a window each. One worker here gives
its time for a listing and the wait for a commit. What brokers and system take while nobody answers is
not there for others. Brokers that take messages in, give them out and do nothing
else show what that costs them, and transactions to one and to many partitions what each of these does;
groups of {GROUPS[0]} to {GROUPS[-1]} consumers give how long a rebalance takes. Its error is that on two
and four workers, which it has not seen. The clusters have a core a worker, {BROKERS} brokers of
{BROKER_CORES} cores and a store of 1 GB/s. They answer {_EVENTS:,} events, and catch up with 10 minutes
while {_LOAD:.0%} of that rate arrives.
"""

PART = Part("scale", _ABOUT, lambda run: (measure(size, run) for size in run.sizes), Scale)
