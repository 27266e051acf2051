"""
A process that loads encoders and does nothing else: what loading takes of a machine, whoever does it.

It gives way to all others, as a worker's loading thread does. It says that it is ready, and begins with
the first line that it reads.

    python -m bench.speed.encoder_loader STORE DIGEST:SIZE ...
"""

import os
import sys

from artefacts.graphs import Encoders
from artefacts.manifest import Blob
from artefacts.store import Store
from workers.live_model import LOADING_NICENESS


def main(address: str, names: list[str]) -> None:
    """Load them once."""
    os.nice(LOADING_NICENESS)
    store, encoders = Store(address), Encoders()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    for name in names:
        digest, size = name.split(":")
        encoders.get(Blob(digest, int(size)), store.get)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
