"""The folder between the trainer and the process that fine-tunes."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from artefacts.manifest import FineTuning, Losses
from tests.trainer.finetuning.jobs import tiny_job
from trainer.finetuning.job import Job, JobFolder, Listings, Progress, Result

JOB = Job(name="1", why="más datos", counts=[3, 1], steps=10, seed=1, threads=1)
rows = st.tuples(
    st.text(min_size=1), st.integers(0, 2**40), st.lists(st.integers(0, 30_000)), st.integers(-1, 1)
)


@settings(max_examples=30)
@given(st.lists(rows, min_size=1, max_size=8))
def test_listings_are_read_as_written(drawn: list[tuple[str, int, list[int], int]]) -> None:
    """Whatever their ids and lengths."""
    ids, seqs, tokens, labels = zip(*drawn, strict=True)
    stored = np.full((len(ids), 2), np.nan, np.float32)
    stored[0] = 1.5, np.nan
    written = Listings(
        list(ids), list(seqs), list(tokens), np.array(labels), stored, np.array(labels) == 0
    )
    with TemporaryDirectory() as folder:
        job = JobFolder(Path(folder) / "job")
        job.begin(JOB, written, b"weights")
        found = job.listings()
        assert job.job() == JOB
        assert job.weights() == b"weights"

    assert (found.ids, found.seqs, found.tokens) == (written.ids, written.seqs, written.tokens)
    np.testing.assert_array_equal(found.labels, written.labels)
    np.testing.assert_array_equal(found.stored, written.stored)
    np.testing.assert_array_equal(found.validation, written.validation)


def test_a_job_begins_with_nothing_of_the_one_before(tmp_path: Path) -> None:
    """No progress, no checkpoint, no result."""
    folder = tiny_job(tmp_path / "job")
    folder.tell(Progress(run=1, step=3, training=None, validation=0.5, cpu_seconds=2.0))
    folder.checkpoint.write_bytes(b"old")
    tiny_job(tmp_path / "job")

    assert folder.progress() is None
    assert not folder.checkpoint.exists()
    assert not folder.finished


def test_a_result_is_read_as_written(tmp_path: Path) -> None:
    """With its figures, and only once it is whole."""
    folder = tiny_job(tmp_path / "job")
    figures = FineTuning(
        why="drift",
        examples=9,
        validated_on=1,
        seed=2,
        curve=[Losses(5, 1.0, 1.25)],
        best_step=5,
        stopped="all steps",
    )
    features = np.arange(6, dtype=np.float32).reshape(2, 3)
    before = folder.finished
    folder.finish(Result(b"encoder", b"weights", figures, features))
    result = folder.result()
    folder.remove()

    assert not before
    assert (result.encoder, result.weights, result.figures) == (b"encoder", b"weights", figures)
    np.testing.assert_array_equal(result.features, features)
    assert folder.job() is None
    assert not folder.path.exists()
