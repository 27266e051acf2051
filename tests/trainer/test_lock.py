"""One database has one trainer, and a killed one leaves a word."""

from contextlib import closing
from pathlib import Path

import pytest

from schemas.errors import ConfigurationError, ExitCode, TryAgain
from tests.mounts import tiny_disk
from tests.processes import said, start
from trainer.lock import DatabaseLock


def test_one_database_has_one_trainer(tmp_path: Path) -> None:
    """A second one is told so, with the exit code of trying again; it may when the first is gone."""
    path = tmp_path / "folder" / "trainer.sqlite"
    with (
        closing(DatabaseLock(path)),
        pytest.raises(TryAgain, match="Another trainer uses") as caught,
    ):
        DatabaseLock(path)
    DatabaseLock(path).close()

    assert caught.value.exit_code == ExitCode.TRY_AGAIN


def test_a_killed_holder_leaves_its_word(tmp_path: Path) -> None:
    """The next one may lock, and reads what it noted last."""
    path = tmp_path / "trainer.sqlite"
    holder = start(f"""
        import pathlib, time
        from trainer.lock import DatabaseLock
        lock = DatabaseLock(pathlib.Path({str(path)!r}))
        lock.note("a longer member")
        lock.note("member")
        print("noted", flush=True)
        time.sleep(60)
    """)
    with holder:
        said(holder)
        holder.kill()
    with closing(DatabaseLock(path)) as lock:
        noted = lock.noted
        lock.note("")
    with closing(DatabaseLock(path)) as lock:
        after = lock.noted

    assert (noted, after) == ("member", "")


def test_a_word_that_finds_no_space_is_not_kept(tmp_path: Path) -> None:
    """A full disk is no reason to end."""
    with tiny_disk(tmp_path / "disk", "64k") as disk:
        with closing(DatabaseLock(disk / "x")) as lock:
            (disk / "ballast").write_bytes(b"x" * 64 * 1024)
            lock.note("member")
        with closing(DatabaseLock(disk / "x")) as lock:
            noted = lock.noted

    assert noted == ""


def test_a_folder_that_cannot_be_made_is_a_wrong_setting(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="TRAINER_DATABASE"):
        DatabaseLock(tmp_path / "file" / "trainer.sqlite")
