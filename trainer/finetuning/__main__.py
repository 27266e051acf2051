"""The process that fine-tunes: `python -m trainer.finetuning FOLDER CPU_SECONDS LOG_LEVEL`."""

import contextlib
import math
import os
import sys
import time
from pathlib import Path

import structlog
import torch

from artefacts.graphs import Encoder
from artefacts.manifest import FineTuning
from runtime.logs import configure_logs
from schemas.errors import ExitCode, RoomstreamError
from trainer.encoders import encoder_of_weights, encoder_weights, verified_export
from trainer.finetuning.checkpoint import load_checkpoint, save_checkpoint
from trainer.finetuning.job import Job, JobFolder, Listings, Progress, Result
from trainer.finetuning.recipe import Training
from trainer.quantisation import quantised_within

CHECKPOINT_EVERY_STEPS = 25
TELL_EVERY_SECONDS = 1.0
_COMPARED = 8
_BEGAN_AT = time.time_ns()
_log = structlog.get_logger(__name__)


def yield_to_others() -> None:
    """Take only the processor time that nobody else wants."""
    os.nice(19)
    if hasattr(os, "SCHED_BATCH"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    with contextlib.suppress(OSError):
        # Linux shares the processor between sessions first (sched(7), autogroup): ours is one.
        Path("/proc/self/autogroup").write_text("19")


def fine_tune(folder: JobFolder, job: Job, cpu_seconds: float) -> int:
    """
    Do a job, going on where it was interrupted.

    Args:
        folder: Its files.
        job: What to do.
        cpu_seconds: What it may take now.

    Returns:
        The exit code: 75 where that did not suffice.
    """
    torch.set_num_threads(job.threads)
    listings = folder.listings()
    encoder = encoder_of_weights(folder.weights())
    training = Training(encoder, listings, job.counts, job.steps, job.seed)
    load_checkpoint(folder.checkpoint, training)
    _log.info("fine-tuning", step=training.step, steps=job.steps, why=job.why)
    told_at = 0.0
    while not training.stopped:
        if time.process_time() > cpu_seconds:
            save_checkpoint(folder.checkpoint, training)
            _tell(folder, training)
            return ExitCode.TRY_AGAIN
        training.advance()
        if training.step % CHECKPOINT_EVERY_STEPS == 0 or training.stopped:
            save_checkpoint(folder.checkpoint, training)
        if time.monotonic() >= told_at + TELL_EVERY_SECONDS:
            told_at = time.monotonic()
            _tell(folder, training)
    result = _result(job, listings, training)
    _tell(folder, training)
    folder.finish(result)
    return ExitCode.DONE


def _result(job: Job, listings: Listings, training: Training) -> Result:
    tuned = training.best()
    compared, quantisation = listings.texts[:_COMPARED], None
    encoder = verified_export(tuned, compared)
    if job.int8_loss is not None:
        encoder, quantisation = quantised_within(encoder, compared, job.int8_loss)
    examples, validated_on = training.examples
    return Result(
        encoder=encoder,
        weights=encoder_weights(tuned),
        figures=FineTuning(
            why=job.why,
            examples=examples,
            validated_on=validated_on,
            seed=job.seed,
            curve=training.curve,
            best_step=training.best_step,
            stopped=training.stopped,
            quantisation=quantisation,
        ),
        features=Encoder(encoder, job.threads).of_tokens(listings.texts).features,
    )


def _tell(folder: JobFolder, training: Training) -> None:
    last = training.curve[-1] if training.curve else None
    folder.tell(
        Progress(
            run=_BEGAN_AT,
            step=training.step,
            training=last.training if last else math.nan,
            validation=last.validation if last else math.nan,
            cpu_seconds=time.process_time(),
        )
    )


def main() -> int:
    """Run, and end with an exit code."""
    path, cpu_seconds, level = sys.argv[1:]
    yield_to_others()
    configure_logs("trainer", level, process="fine-tuning")
    folder = JobFolder(Path(path))
    job = folder.job()
    try:
        if job is None:
            raise RoomstreamError(f"{path} holds no job. The trainer writes one.")
        return fine_tune(folder, job, float(cpu_seconds))
    except RoomstreamError as error:
        _log.error("fine-tuning failed", why=str(error))
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
