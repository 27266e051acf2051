"""One database has one trainer."""

import errno
import fcntl
import os
from pathlib import Path

from schemas.errors import ConfigurationError, TryAgain


def lock_beside(path: Path) -> int:
    """
    Hold `<path>.lock`, for as long as this process lives or until the descriptor is closed.

    Returns:
        The descriptor.

    Raises:
        ConfigurationError: The folder cannot be made or written.
        TryAgain: Another process holds it.
    """
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
