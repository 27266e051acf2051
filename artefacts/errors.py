"""
Everything that can be wrong with a release or its store.

    RoomstreamError
    ├── StoreError                 the store cannot be read or written (exit code 75: try again)
    ├── InferenceError             a session rejected a batch: the pipeline looks for the culprit
    └── ReleaseError               the release cannot be served (exit code 3)
        ├── ReleaseMissing         no such manifest or blob in the store
        ├── DigestMismatch         bytes are not what the manifest or announcement says
        └── ReleaseRefused         a manifest that is not valid, a graph with external data or other
                                   inputs and outputs than the manifest promises, golden inputs
                                   that come out differently
"""

from schemas.errors import ExitCode, RoomstreamError, TryAgain


class StoreError(TryAgain):
    """The store cannot be read or written."""


class InferenceError(RoomstreamError):
    """A session rejected a batch."""


class ReleaseError(RoomstreamError):
    """A release cannot be served."""

    exit_code = ExitCode.RELEASE


class ReleaseMissing(ReleaseError):
    """The store has no such manifest or blob."""


class DigestMismatch(ReleaseError):
    """Bytes differ from what was announced or written down."""


class ReleaseRefused(ReleaseError):
    """What was loaded does not keep what its manifest promises."""
