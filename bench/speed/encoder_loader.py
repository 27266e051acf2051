"""
A process that loads encoders and does nothing else: what loading takes of a machine, whoever does it.

It gives way to all others, as a worker's loading thread does. It says that it is ready, and begins with
the first line that it reads.

    python -m bench.speed.encoder_loader STORE DIGEST:SIZE ...
"""

import os
import sys
from collections import deque

from artefacts.graphs import Encoder
from artefacts.manifest import Blob
from artefacts.store import Store

_KEPT = 3  # as many as a worker keeps in memory
_NICENESS = 10


def main(address: str, names: list[str]) -> None:
    """Load them once."""
    os.nice(_NICENESS)
    store, kept = Store(address), deque[Encoder](maxlen=_KEPT)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    for name in names:
        digest, size = name.split(":")
        kept.append(Encoder(store.get(Blob(digest, int(size)))))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
