"""The process that fine-tunes: killed, out of budget, at low priority, and what it leaves behind."""

import os
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from artefacts.graphs import Encoder
from schemas.errors import ExitCode
from tests.processes import eventually
from tests.trainer.finetuning.jobs import COUNTS, tiny_encoder, tiny_job, tiny_listings
from trainer.encoders import encoder_of_weights, encoder_weights
from trainer.finetuning.__main__ import CHECKPOINT_EVERY_STEPS, fine_tune
from trainer.finetuning.job import JobFolder
from trainer.finetuning.process import Process
from trainer.finetuning.recipe import Training
from trainer.metrics import TrainerMetrics

STEPS = 40


def _uninterrupted() -> bytes:
    training = Training(tiny_encoder(), tiny_listings(), COUNTS, STEPS, 3)
    while not training.stopped:
        training.advance()
    return encoder_weights(training.best())


def _run(folder: JobFolder, cpu_seconds: float = 600) -> int:
    job = folder.job()
    assert job is not None
    return fine_tune(folder, job, cpu_seconds)


def test_killed_it_goes_on_and_ends_alike(tmp_path: Path) -> None:
    """A SIGKILL after its first checkpoint changes nothing of what comes of it."""
    folder = tiny_job(tmp_path / "job", STEPS)
    metrics = TrainerMetrics()
    process = Process(folder, metrics, "INFO")
    process.tend(600)
    eventually(folder.checkpoint.exists, "there is a checkpoint", 120)
    assert process._child is not None
    pid = process._child.pid
    assert pid is not None
    priority = os.getpriority(os.PRIO_PROCESS, pid)
    first = process.taken()
    process.kill()
    interrupted = not folder.finished
    goes_on = process.tend(600)
    eventually(lambda: folder.finished, "it is done", 120)
    taken = first + process.taken()
    process.kill()
    result = folder.result()

    assert interrupted
    assert goes_on
    assert priority == 19
    assert result.weights == _uninterrupted()
    assert metrics.registry.get_sample_value(
        "roomstream_trainer_finetune_cpu_seconds_total"
    ) == pytest.approx(taken)
    assert metrics.registry.get_sample_value("roomstream_trainer_finetune_step") == STEPS


def test_what_it_leaves(tmp_path: Path) -> None:
    """An encoder graph, the weights that it was made of, its features of every listing, its curve."""
    folder = tiny_job(tmp_path / "job", STEPS)
    code = _run(folder)
    result = folder.result()
    texts = tiny_listings().texts

    assert code == ExitCode.DONE
    np.testing.assert_array_equal(
        result.features, Encoder(result.encoder).of_tokens(texts).features
    )
    assert encoder_weights(encoder_of_weights(result.weights)) == result.weights
    assert (result.figures.examples, result.figures.validated_on) == (96, 24)
    assert result.figures.curve[-1].step == STEPS


def test_of_an_encoder_in_8_bit_integers_comes_another_one(tmp_path: Path) -> None:
    """Its weights stay exact, and it says what its graph loses."""
    folder = tiny_job(tmp_path / "job", STEPS)
    job = folder.job()
    assert job is not None
    code = fine_tune(folder, msgspec.structs.replace(job, int8_loss=0.5), 600)
    result, texts = folder.result(), tiny_listings().texts

    assert code == ExitCode.DONE
    assert b"MatMulInteger" in result.encoder
    assert result.figures.quantisation is not None
    assert 0 < result.figures.quantisation.loss <= 0.5
    assert encoder_weights(encoder_of_weights(result.weights)) == result.weights
    np.testing.assert_array_equal(
        result.features, Encoder(result.encoder).of_tokens(texts).features
    )


def test_out_of_budget_it_stops_where_it_can_go_on(tmp_path: Path) -> None:
    """It ends with 75, says what it took, and later goes on from there."""
    folder = tiny_job(tmp_path / "job", STEPS)
    code = _run(folder, time.process_time() + 0.1)
    progress = folder.progress()
    later = _run(folder)

    assert code == ExitCode.TRY_AGAIN
    assert progress is not None
    assert progress.step < STEPS
    assert progress.cpu_seconds > 0
    assert folder.checkpoint.exists()
    assert later == ExitCode.DONE
    assert folder.result().weights == _uninterrupted()
    assert CHECKPOINT_EVERY_STEPS < STEPS


def test_without_budget_it_is_not_started(tmp_path: Path) -> None:
    """Nothing runs until there is processor time again."""
    process = Process(tiny_job(tmp_path / "job"), TrainerMetrics(), "INFO")

    assert process.tend(0)
    assert process._child is None


def test_a_process_that_always_fails_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Damaged weights fail every time; after five times that is all."""
    monkeypatch.setattr("trainer.finetuning.process.sys.executable", "/bin/false")
    process = Process(tiny_job(tmp_path / "job"), TrainerMetrics(), "INFO")
    results: list[bool] = []
    deadline = time.monotonic() + 30
    while all(results) and time.monotonic() < deadline:
        process._start_at = 0.0
        results.append(process.tend(600))
        time.sleep(0.01)

    assert results[-1] is False
    assert process._failures == 5
