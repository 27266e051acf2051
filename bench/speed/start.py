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

from artefacts.manifest import ENCODER
from bench.speed.models import Size
from bench.speed.rounds import Tick
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
    def memory_ratio(self) -> float:
        """A worker's memory over that of a bare session, the median over rounds."""
        return median(
            worker / bare for worker, bare in zip(self.worker_bytes, self.bare_bytes, strict=True)
        )


def measure(size: Size, texts: Sequence[str], rounds: int, servers: str, tick: Tick) -> Start:
    """
    Start a worker in every round, after one that fills its cache.

    Args:
        size: Of the model.
        texts: Titles of its listings.
        rounds: How often.
        servers: The brokers.
        tick: Is told what runs.
    """
    seconds, workers, bare = [], [], []
    with tempfile.TemporaryDirectory(prefix="roomstream-bench-") as folder:
        model = Model.made(size, Path(folder))
        encoder = Path(folder) / "encoder.onnx"
        encoder.write_bytes(model.imported.parts[ENCODER])
        for number in range(rounds + 1):
            tick(f"{size.name}: start of a worker")
            waited, memory = _started(Stage.made(model, servers), texts[:_TITLES])
            if number:
                seconds.append(waited)
                workers.append(memory)
                bare.append(_bare(encoder))
    return Start(size.name, seconds, workers, bare)


def _started(stage: Stage, texts: Sequence[str]) -> tuple[float, float]:
    """Seconds to the first result, and the memory in bytes once all are there."""
    stage.send(texts)
    started = time.time()
    with stage.running(stage.workers("exactly-once", processes=1)) as (worker,):
        first = stage.results(len(texts), [worker])[0]
        memory = psutil.Process(worker.pid).memory_info().rss
    return first - started, float(memory)


def _bare(encoder: Path) -> float:
    done = subprocess.run(
        [sys.executable, "-c", _BARE, str(encoder)], capture_output=True, check=True
    )
    return float(done.stdout)
