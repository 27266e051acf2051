"""Events to results on a real Kafka: our workers beside what people write today, two processes each."""

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec
from matplotlib.figure import Figure

from bench.speed.answering import Alone, Pace, answering
from bench.speed.models import SIZES, Size
from bench.speed.parts import Aim, Part, Run, bars, of_rounds, spread, table
from bench.speed.rounds import Ratio
from bench.speed.stage import Model, Stage
from roomstream.ports import reserved_port
from schemas.topics import Topic

ALONE = "ONNX Runtime alone, sorted inputs ready"
TRANSACTIONAL = "roomstream, exactly-once"
INTEGERS = "roomstream, exactly-once, 8-bit integers"
FAUST = "roomstream, at-least-once (Faust)"
NAIVE = "Faust and a Hugging Face pipeline, batches of {}"
PROCESSES = 2


class Workers(msgspec.Struct, frozen=True):
    """
    What was measured with one model.

    Attributes:
        model: Its name.
        paces: By way and round.
        alone: Of ONNX Runtime alone right before each of them.
    """

    model: str
    paces: dict[str, list[Pace]]
    alone: dict[str, list[Pace]]

    @property
    def title(self) -> str:
        """The model."""
        return self.model

    def aims(self) -> list[Aim]:
        """Near ONNX Runtime alone, and several times what people write."""
        share = 0.95 if self.model == SIZES["base"].name else 0.90
        against = {
            "worker against the naive worker, batch 1": (5.0, NAIVE.format(1)),
            "worker against the naive worker, batch 32": (2.5, NAIVE.format(32)),
        }
        of_alone = Aim(
            what=f"worker, exactly-once, against ONNX Runtime alone, {self.model}",
            aim=share,
            better="more",
            found=of_rounds(self._shares(TRANSACTIONAL)),
        )
        return [
            of_alone,
            *(
                Aim(what=f"{what}, {self.model}", aim=aim, better="more", found=self._against(way))
                for what, (aim, way) in against.items()
            ),
            *self._aim_of_integers(),
        ]

    def table(self) -> str:
        """Every way, in shares of ONNX Runtime alone, and where the processor's time goes."""
        head = (
            self.model, "of ONNX Runtime alone", "of it, by the processes' own time",
            "exactly-once is so often as fast", "results/s", "CPU ms a result: the processes",
            "brokers and system", "sending and reading",
        )  # fmt: skip
        alone = [pace for paces in self.alone.values() for pace in paces]
        one = spread(of_rounds([1.0]))
        rows = [
            (
                way,
                spread(of_rounds(self._shares(way))),
                spread(of_rounds(self._shares_of_own_time(way))),
                spread(self._against(way)),
                *_cells(paces),
            )
            for way, paces in self.paces.items()
        ]
        return (
            table(head, [(ALONE, one, one, "", *_cells(alone)), *rows])
            + "\n\nOver a whole turn, with sending and the last small windows, which the rate leaves "
            "out, brokers, system, sender and reader leave exactly-once "
            f"{spread(of_rounds(self._left()))} of these cores.\n\n{self._profile()}"
        )

    def figure(self) -> Figure:
        """Every way as a bar."""
        ratios = {way: of_rounds(self._shares(way)) for way in self.paces}
        return bars(f"{self.model}: speed, as a share of ONNX Runtime alone", ratios)

    def _shares(self, way: str) -> list[float]:
        """Of the rate of ONNX Runtime alone right before, round by round."""
        both = zip(self.paces[way], self.alone[way], strict=True)
        return [pace.rate / alone.rate for pace, alone in both]

    def _shares_of_own_time(self, way: str) -> list[float]:
        """The same as if brokers and reader had cores of their own."""
        both = zip(self.paces[way], self.alone[way], strict=True)
        return [alone.own_seconds / pace.own_seconds for pace, alone in both]

    def _aim_of_integers(self) -> Iterator[Aim]:
        """Their accuracy is that of floats (*Shortcuts*), where the gate lets them pass."""
        if INTEGERS in self.paces:
            yield Aim(
                what=f"worker with 8-bit integers against the naive worker, batch 32, {self.model}",
                aim=2.5,
                better="more",
                found=Ratio.of(self._shares(INTEGERS), self._shares(NAIVE.format(32))),
            )

    def _profile(self) -> str:
        """What our workers do with their time, and what their windows are like."""
        works = {
            way: [pace.work for pace in paces if pace.work] for way, paces in self.paces.items()
        }
        stages = ("decode", "tokenise", "infer", "deliver")
        head = (
            "what our workers say",
            *(f"{stage}, ms a result" for stage in stages),
            "titles a window",
            "padding",
        )
        rows = [
            (
                way,
                *(f"{1000 * median(each.stages[stage] for each in work):.2f}" for stage in stages),
                f"{median(each.titles for each in work):.0f}",
                f"{median(each.padding for each in work):.2f}",
            )
            for way, work in works.items()
            if work
        ]
        return table(head, rows)

    def _left(self) -> list[float]:
        """The share of the processors' time that others do not take, round by round."""
        return [
            pace.own_seconds / (pace.own_seconds + pace.other_seconds + pace.here_seconds)
            for pace in self.paces[TRANSACTIONAL]
        ]

    def _against(self, way: str) -> Ratio:
        """How often as fast exactly-once is, each as a share of ONNX Runtime alone."""
        return Ratio.of(self._shares(TRANSACTIONAL), self._shares(way))


def _cells(paces: Sequence[Pace]) -> tuple[str, ...]:
    return (
        f"{median(pace.rate for pace in paces):.0f}",
        f"{1000 * median(pace.own_seconds for pace in paces):.2f}",
        f"{1000 * median(pace.other_seconds for pace in paces):.2f}",
        f"{1000 * median(pace.here_seconds for pace in paces):.2f}",
    )


def measure(size: Size, run: Run) -> Workers:
    """
    Measure all ways with a model of random weights.

    Args:
        size: Of the model.
        run: Its texts come again and again, a title an event; workers remember none of them.
    """
    paces: dict[str, list[Pace]] = {}
    alone: dict[str, list[Pace]] = {}
    with tempfile.TemporaryDirectory(prefix="roomstream-bench-") as folder, ExitStack() as stack:
        floats = Model.made(size, Path(folder) / "floats")
        integers = Model.made(size, Path(folder) / "integers", int8=True)
        ports = [stack.enter_context(reserved_port()) for _ in range(PROCESSES)]
        ways = {
            TRANSACTIONAL: _Way(floats, _ours("exactly-once"), share=0.8),
            INTEGERS: _Way(integers, _ours("exactly-once"), share=1.2),
            FAUST: _Way(floats, _ours("at-least-once"), share=0.8),
            NAIVE.format(32): _Way(floats, _naive(32), share=0.35, show_work=False),
            NAIVE.format(1): _Way(floats, _naive(1), share=0.12, show_work=False),
        }
        onnx = stack.enter_context(Alone(floats.source, run.texts, PROCESSES))
        limit = onnx.pace().rate
        for name, way in ways.items():
            run.tick(f"{size.name}: {name}")
            stage = Stage.made(way.model, run.servers)
            commands = way.commands(stage, way.model, ports)
            paces[name], alone[name] = [], []
            shown = ports if way.show_work else ()
            with answering(stage, commands, run.texts, way.share * limit, shown) as workers:
                for _ in range(run.rounds):
                    alone[name].append(onnx.pace())
                    paces[name].append(workers.pace())
    return Workers(size.name, paces, alone)


Commands = Callable[[Stage, Model, Sequence[int]], list[list[str]]]


@dataclass(frozen=True)
class _Way:
    """
    Workers to measure.

    Attributes:
        model: They answer with it.
        commands: One for each port.
        share: About so much of the rate of ONNX Runtime alone is to be expected.
        show_work: They show metrics of ours on these ports.
    """

    model: Model
    commands: Commands
    share: float
    show_work: bool = True


def _ours(delivery: str) -> Commands:
    return lambda stage, _, ports: stage.workers(delivery, ports, "--recent-texts", "0")


def _naive(batch: int) -> Commands:
    def commands(stage: Stage, model: Model, ports: Sequence[int]) -> list[list[str]]:
        start = [
            sys.executable, "-m", "bench.speed.naive_worker", stage.kafka.bootstrap_servers,
            stage.topic(Topic.LISTINGS), stage.topic(Topic.CLASSIFIED), model.source, str(batch),
        ]  # fmt: skip
        return [[*start, str(port)] for port in ports]

    return commands


_ABOUT = """\
Events to results on a Kafka of one node on the same two cores: two processes of each worker, and two
processes of ONNX Runtime alone, which answer without Kafka. Both are warm and take turns of some seconds;
a share is of the turn right before. *By the processes' own time* leaves out what brokers, system, sender
and reader take of these cores, as if they had others. The naive worker is a Faust agent that calls the
pipeline, in the code that people write (`bench/speed/naive_worker.py`). 30 seconds of listings wait at
the beginning of a turn; the rate is that between 15 and 60% of them, while the rest still waits. All
other figures are of whole turns, whose last windows are small.

*What our workers say* is by the clock of the wall, so that it has the turns that brokers take. *Deliver*
is the wait for the commit, in which brokers and the other worker have the cores: to answer the next
window meanwhile would gain nothing here, and at most that share where brokers have cores of their own.
A window is as large as what waits allows (an eighth of it), and smaller ones pad more and run more
batches: beside ONNX Runtime alone, which sorts 512 titles (*Serving*), that is the most of what is
missing in *infer*. All the rest of a worker, decoding, tokenising, encoding and two Kafka clients, is a
few hundredths of its time. A longer backlog moves it, and a larger `WORKER_LATENCY_BUDGET_SECONDS`.

At batch 1 the pipeline's own Python is paid for every title: the larger the model, the less of its time
that is, and the less there is to gain. At batch 32 it loses what it pads (the table of *Serving* says how
much) and what Faust and its own Python take; with titles of nearly the same length that is all there is
to gain with the same arithmetic. It grows with texts whose lengths differ more, such as titles with
descriptions; and 8-bit integers (`roomstream base import --int8`) are a step further.
"""

PART = Part(
    "workers",
    _ABOUT,
    lambda run: (measure(size, run) for size in run.sizes),
    Workers,
)
