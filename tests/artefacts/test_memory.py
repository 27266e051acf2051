"""Memory stays as it is, however many releases follow each other."""

from itertools import cycle, islice
from pathlib import Path

import psutil

from artefacts.cache import BlobCache
from artefacts.classifier import Classifier
from artefacts.graphs import Encoders
from artefacts.store import Store
from tests.releases import tiny_release

MEGABYTE = 1 << 20
ENCODERS = 5


def test_releases_that_follow_each_other_leave_nothing_behind(tmp_path: Path) -> None:
    """A shortened soak: heads, encoders that were forgotten meanwhile, and texts that differ."""
    store = Store(f"file://{tmp_path / 'store'}")
    releases = [tiny_release(store, seed=seed, scale=12 + seed) for seed in range(ENCODERS)]
    cache, encoders = BlobCache(store, tmp_path / "cache"), Encoders(recent_texts=64)
    memory = []
    for number, manifest in enumerate(islice(cycle(releases), 60 * ENCODERS)):
        classifier = Classifier.load(manifest, cache.get, encoders)
        classifier.predict([f"Habitación {number} cerca de Sol {n}" for n in range(32)])
        memory.append(psutil.Process().memory_info().rss)

    assert max(memory[-ENCODERS:]) < max(memory[: 20 * ENCODERS]) + 4 * MEGABYTE
