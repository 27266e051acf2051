"""From the start of a worker to its first result, and its memory, beside a bare ONNX Runtime session."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import msgspec
import psutil
from matplotlib.figure import Figure

from artefacts.manifest import ENCODER
from bench.speed.models import SIZES, Size
from bench.speed.parts import Aim, Part, Run, bars, of_rounds, spread, table
from bench.speed.rounds import Ratio
from bench.speed.stage import Model, Stage

_BARE = """
import sys
import numpy, onnxruntime, psutil
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options)
ids = numpy.ones((16, 16), numpy.int64)
for _ in range(20):
    session.run(None, {"input_ids": ids, "attention_mask": ids})
print(psutil.Process().memory_info().rss)
"""
_TITLES = 256


class Start(msgspec.Struct, frozen=True):
    """
    What was measured with one model, round by round.

    Attributes:
        model: Its name.
        first_result_seconds: From the start of a worker's process to its first result; its release is in
            the cache.
        worker_bytes: Memory of a worker that has answered some hundred listings.
        bare_bytes: Memory of a process that has the encoder's session and nothing else.
    """

    model: str
    first_result_seconds: list[float]
    worker_bytes: list[float]
    bare_bytes: list[float]

    @property
    def title(self) -> str:
        """The model."""
        return self.model

    def aims(self) -> list[Aim]:
        """Soon there, in hardly more memory than the model takes."""
        memory = Aim(
            what=f"worker memory against a bare session, {self.model}",
            aim=1.3,
            better="less",
            found=self._memory(),
        )
        if self.model != SIZES["minilm"].name:
            return [memory]
        soon = Aim(
            what=f"start to first result, release cached, {self.model}",
            aim=3,
            better="less",
            unit="s",
            found=of_rounds(self.first_result_seconds),
        )
        return [soon, memory]

    def table(self) -> str:
        """Seconds and memory."""
        head = (self.model, "first result, s", "memory, worker over bare session", "worker, MB")
        seconds, megabytes = of_rounds(self.first_result_seconds), median(self.worker_bytes) / 1e6
        return table(head, [("", spread(seconds, 1), spread(self._memory()), f"{megabytes:.0f}")])

    def figure(self) -> Figure:
        """Memory as bars, in megabytes."""
        megabytes = {
            name: of_rounds([each / 1e6 for each in found])
            for name, found in (("worker", self.worker_bytes), ("session", self.bare_bytes))
        }
        return bars(f"{self.model}: memory in MB", megabytes)

    def _memory(self) -> Ratio:
        return Ratio.of(self.worker_bytes, self.bare_bytes)


def measure(size: Size, run: Run) -> Start:
    """
    Start a worker in every round, after one that fills its cache.

    Args:
        size: Of the model.
        run: Titles of listings, and how often.
    """
    seconds, workers, bare = [], [], []
    with tempfile.TemporaryDirectory(prefix="roomstream-bench-") as folder:
        model = Model.made(size, Path(folder))
        encoder = Path(folder) / "encoder.onnx"
        encoder.write_bytes(model.imported.parts[ENCODER])
        for number in range(run.rounds + 1):
            run.tick(f"{size.name}: start of a worker")
            waited, memory = _started(Stage.made(model, run.servers), run.texts[:_TITLES])
            if number:
                seconds.append(waited)
                workers.append(memory)
                bare.append(_bare(encoder))
    return Start(size.name, seconds, workers, bare)


def _started(stage: Stage, texts: Sequence[str]) -> tuple[float, float]:
    """Seconds to the first result, and the memory in bytes once all are there."""
    listings = stage.send(texts)
    started = time.time()
    with stage.running(stage.workers("exactly-once", [0])) as (worker,):
        first = stage.results(listings, [worker])[0]
        memory = psutil.Process(worker.pid).memory_info().rss
    return first - started, float(memory)


def _bare(encoder: Path) -> float:
    done = subprocess.run(
        [sys.executable, "-c", _BARE, str(encoder)], capture_output=True, check=True
    )
    return float(done.stdout)


_ABOUT = """\
From the start of a worker's process to its first result, with its release in the cache and listings
waiting, and its memory after 256 listings beside that of a Python process that has a session with the
same encoder and nothing else.
"""

PART = Part(
    "start",
    _ABOUT,
    lambda run: (measure(size, run) for size in run.sizes),
    Start,
)
