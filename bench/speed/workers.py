"""Events to results on a real Kafka: our workers beside what people write today, two processes each."""

import sys
import tempfile
from collections.abc import Callable, Sequence
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
            f"{spread(of_rounds(self._left()))} of these cores. The rest of what is missing is decoding, "
            "tokenising, encoding and two Kafka clients in Python. Kafka on machines of its own moves "
            "the first figure, longer titles and larger models the second."
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
    with tempfile.TemporaryDirectory(prefix="roomstream-bench-") as folder:
        model = Model.made(size, Path(folder))
        with Alone(model.source, run.texts, PROCESSES) as onnx:
            limit = onnx.pace().rate
            for way, (commands, share) in _ways(model).items():
                run.tick(f"{size.name}: {way}")
                stage = Stage.made(model, run.servers)
                paces[way], alone[way] = [], []
                with answering(stage, commands(stage), run.texts, share * limit) as workers:
                    for _ in range(run.rounds):
                        alone[way].append(onnx.pace())
                        paces[way].append(workers.pace())
    return Workers(size.name, paces, alone)


Commands = Callable[[Stage], list[list[str]]]


def _ways(model: Model) -> dict[str, tuple[Commands, float]]:
    """What runs, and about which share of the rate of ONNX Runtime alone to expect."""

    def ours(delivery: str) -> Commands:
        return lambda stage: stage.workers(delivery, PROCESSES, "--recent-texts", "0")

    return {
        TRANSACTIONAL: (ours("exactly-once"), 0.8),
        FAUST: (ours("at-least-once"), 0.8),
        NAIVE.format(32): (lambda stage: _naive(stage, model, 32), 0.35),
        NAIVE.format(1): (lambda stage: _naive(stage, model, 1), 0.12),
    }


def _naive(stage: Stage, model: Model, batch: int) -> list[list[str]]:
    commands = []
    for _ in range(PROCESSES):
        with reserved_port() as port:
            commands.append(
                [
                    sys.executable, "-m", "bench.speed.naive_worker", stage.kafka.bootstrap_servers,
                    stage.topic(Topic.LISTINGS), stage.topic(Topic.CLASSIFIED), model.source,
                    str(batch), str(port),
                ]
            )  # fmt: skip
    return commands


_ABOUT = """\
Events to results on a Kafka of one node on the same two cores: two processes of each worker, and two
processes of ONNX Runtime alone, which answer without Kafka. Both are warm and take turns of some seconds;
a share is of the turn right before. *By the processes' own time* leaves out what brokers, system, sender
and reader take of these cores, as if they had others. The naive worker is a Faust agent that calls the
pipeline, in the code that people write (`bench/speed/naive_worker.py`). 20 seconds of listings wait at
the beginning of a turn; the rate is that between a quarter and 85% of them.

At batch 1 the pipeline's own Python is paid for every title: the larger the model, the less of its time
that is, and the less there is to gain. At batch 32 it loses what it pads (the table of *Serving* says how
much) and what Faust and its own Python take; with titles of nearly the same length that is all there is
to gain. It grows with texts whose lengths differ more, such as titles with descriptions.
"""

PART = Part(
    "workers",
    _ABOUT,
    lambda run: (measure(size, run) for size in run.sizes),
    Workers,
)
