"""One database has one trainer."""

import errno
import fcntl
import os
from pathlib import Path

from schemas.errors import ConfigurationError, TryAgain


class DatabaseLock:
    """
    Holds `<path>.lock` for as long as this process lives, or until it is closed.

    Args:
        path: The database.

    Attributes:
        noted: What its last holder noted in it, if it was killed.

    Raises:
        ConfigurationError: The folder cannot be made or written.
        TryAgain: Another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self._file = _locked(path)
        self.noted = os.pread(self._file, 1_000, 0).decode("utf-8", "replace")
        self._written = self.noted

    def note(self, text: str) -> None:
        """Keep a word for the next holder. It only saves time: a full disk keeps none."""
        if text == self._written:
            return
        self._written = text
        try:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, text.encode(), 0)
        except OSError:
            pass

    def close(self) -> None:
        """Let go of it."""
        os.close(self._file)


def _locked(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR, 0o644)
    except OSError as error:
        raise ConfigurationError(
            f"The trainer's database {path} cannot be made: {error}. Choose another place with "
            "TRAINER_DATABASE."
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        raise TryAgain(
            f"Another trainer uses {path}. One database has one trainer: stop the other one, or choose "
            "another file with TRAINER_DATABASE."
        ) from error
    return file
