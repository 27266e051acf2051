"""Whether the store can be used, and what serves can be served here."""

import time
from collections.abc import Iterator

from artefacts.classifier import Classifier
from artefacts.errors import StoreError
from artefacts.store import Store
from roomstream.doctor.findings import Deployment, Finding
from roomstream.live import live_announcement


def store(deployment: Deployment) -> Iterator[Finding]:
    """Write, read and delete a small object; workers only read."""
    started = time.perf_counter()
    found = Store(deployment.shared.store)
    releases = len(found.releases())
    try:
        found.try_out()
    except StoreError:
        if deployment.role != "worker":
            raise
        yield Finding(
            "store", "ok", f"{found.address} can be read, not written: workers only read."
        )
        return
    milliseconds = (time.perf_counter() - started) * 1000
    yield Finding(
        "store",
        "ok",
        f"{found.address} was written, read and deleted from in {milliseconds:.0f} ms; it holds "
        f"{releases} releases.",
    )


def live_release(deployment: Deployment) -> Iterator[Finding]:
    """Verify every digest of the live release, load it, and run its golden inputs on this machine."""
    live = live_announcement(deployment.kafka, deployment.shared)
    if live is None:
        yield Finding(
            "release",
            "failed",
            "No release is live.",
            "Make one with 'roomstream base import', or announce one with 'roomstream releases "
            "promote'.",
        )
        return
    found = Store(live.store)
    manifest = found.manifest(live.release, live.manifest_digest)
    Classifier.load(manifest, found.get)
    yield Finding(
        "release",
        "ok",
        f"{live.release} is live; its digests are right, and its {len(manifest.golden)} golden inputs "
        "come out here as they should.",
    )
