"""
The root of every error that roomstream raises, and the exit codes they end a process with.

A bad message is not an error but a value: see `schemas.codec.Rejected`. What is raised is a bad
world (broker, disk, model file, configuration), and it ends the process with its exit code:

    RoomstreamError                      1  failed
    ├── ConfigurationError               2  a setting is wrong: mend it, a restart will not help
    ├── artefacts.errors.ReleaseError    3  a release is missing or refused
    └── TryAgain                        75  the world may mend itself: restart the process
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """How a process ended, for supervisors and orchestrators (75 is EX_TEMPFAIL of sysexits.h)."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    RELEASE = 3
    TRY_AGAIN = 75


class RoomstreamError(Exception):
    """A bad world. The message names the thing, the cause and the next step."""

    exit_code = ExitCode.FAILED


class ConfigurationError(RoomstreamError):
    """A setting or option is wrong."""

    exit_code = ExitCode.USAGE


class TryAgain(RoomstreamError):
    """A broker or store is out of reach, or a client hangs: a restart may find it mended."""

    exit_code = ExitCode.TRY_AGAIN
