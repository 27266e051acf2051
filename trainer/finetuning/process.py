"""The process that fine-tunes, as the trainer sees it."""

import signal
import sys
import time

import structlog

from runtime.retrying import BackOff
from runtime.supervisor import Child
from schemas.errors import ExitCode
from trainer.finetuning.job import JobFolder
from trainer.metrics import TrainerMetrics

_log = structlog.get_logger(__name__)

_BACK_OFF = BackOff(first_seconds=1.0, most_seconds=30.0)
_MOST_FAILURES = 5


class Process:
    """
    Runs the process, again where it failed, and reads how far it is.

    Args:
        folder: The job's.
        metrics: Where its progress is shown.
        log_level: Of the process.
    """

    def __init__(self, folder: JobFolder, metrics: TrainerMetrics, log_level: str) -> None:
        self._folder = folder
        self._metrics = metrics
        self._log_level = log_level
        self._child: Child | None = None
        self._start_at = 0.0
        self._failures = 0
        before = folder.progress()  # of a process that a trainer before this one has counted
        self._run, self._counted = (before.run, before.cpu_seconds) if before else (0, 0.0)

    def tend(self, seconds_left: float) -> bool:
        """
        Keep it running as long as it may.

        Args:
            seconds_left: The processor time that it may still take today.

        Returns:
            False once it has failed too often.
        """
        if self._child is None:
            if seconds_left > 0 and time.monotonic() >= self._start_at:
                self._start(seconds_left)
            return True
        if (code := self._child.ended()) is None:
            return True
        self._child = None
        if code in (ExitCode.DONE, ExitCode.TRY_AGAIN) or self._folder.finished:
            return True
        self._failures += 1
        wait = _BACK_OFF.wait_seconds(self._failures)
        self._start_at = time.monotonic() + wait
        _log.warning("fine-tuning ended: going on", exit_code=code, in_seconds=round(wait, 1))
        return self._failures < _MOST_FAILURES

    def taken(self) -> float:
        """Show how far it is; the processor time that it took since the last call, in seconds."""
        progress = self._folder.progress()
        if progress is None:
            return 0.0
        metrics = self._metrics
        metrics.finetune_step.set(progress.step)
        for split, loss in (("training", progress.training), ("validation", progress.validation)):
            if loss is not None:
                metrics.finetune_loss.labels(split).set(loss)
        known = self._counted if progress.run == self._run else 0.0
        self._run, self._counted = progress.run, progress.cpu_seconds
        metrics.finetune_cpu_seconds.inc(progress.cpu_seconds - known)
        return progress.cpu_seconds - known

    def kill(self) -> None:
        """End it, wherever it is: what it has not written down, it does again."""
        if self._child is None:
            return
        self._child.signal(signal.SIGKILL)
        while self._child.ended() is None:
            time.sleep(0.01)
        self._child = None

    def _start(self, seconds_left: float) -> None:
        command = [sys.executable, "-P", "-m", "trainer.finetuning"]
        arguments = [str(self._folder.path), f"{seconds_left:.3f}", self._log_level]
        self._child = Child("fine-tuning", command + arguments)
        self._child.start()
