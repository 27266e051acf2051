"""
How fast a worker's model path is, beside ONNX Runtime alone, in one run on this machine.

The ceiling is ONNX Runtime on inputs that were tokenised, sorted and padded before the clock starts.
Rounds are interleaved and each ratio is the median over the rounds, since machines are noisy: compare
ratios, not seconds.

    make bench
    make bench ARGS="--listings my-listings.csv.gz --texts 2000 --json bench.json"
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from artefacts.batching import token_budget_batches
from artefacts.classifier import Classifier
from artefacts.graphs import padded
from bench.machine import machine
from roomstream.generated_listings import generated_messages
from roomstream.listing_wording import ROOM_TYPES
from roomstream.listings import read_listings
from schemas.codec import listing_text
from trainer.base_import import import_base
from trainer.sources import MINILM

CEILING = "ONNX Runtime, sorted inputs ready"
OURS = "roomstream: tokenise, sort, infer, name"
WINDOW = 256
UNSORTED_BATCH = 32

Way = Callable[[Sequence[str]], object]


def texts_of(listings: Path | None, count: int) -> list[str]:
    """Read so many texts from a file, or make them up."""
    found = (
        read_listings(listings)
        if listings
        else (m.listing for m in generated_messages(2 * count) if m.listing and m.value)
    )
    return [listing_text(listing.title, listing.description) for listing in islice(found, count)]


def loaded(source: str) -> Classifier:
    """Import a base model and load it as a worker does."""
    imported = import_base(source, ROOM_TYPES)
    parts = {blob.digest: imported.parts[role] for role, blob in imported.manifest.blobs.items()}
    return Classifier.load(imported.manifest, lambda blob: parts[blob.digest])


def ways(classifier: Classifier, texts: Sequence[str]) -> dict[str, Way]:
    """What is compared, by name; each answers all texts, a window at a time."""
    tokens = [text.ids for text in classifier.tokenise(texts)]
    pad = classifier.tokenizer.pad_id
    ready = [
        padded([tokens[start + index] for index in batch], pad)
        for start in range(0, len(texts), WINDOW)
        for batch in token_budget_batches([len(ids) for ids in tokens[start : start + WINDOW]])
    ]

    def ceiling(_: Sequence[str]) -> None:
        for ids, mask in ready:
            classifier.head(classifier.encoder.features(ids, mask), ids, mask)

    def ours(texts: Sequence[str]) -> None:
        for start in range(0, len(texts), WINDOW):
            classifier.predict(texts[start : start + WINDOW])

    def in_batches(size: int) -> Way:
        def way(texts: Sequence[str]) -> None:
            for start in range(0, len(texts), size):
                rows = [text.ids for text in classifier.tokenise(texts[start : start + size])]
                ids, mask = padded(rows, pad)
                classifier.head(classifier.encoder.features(ids, mask), ids, mask)

        return way

    return {
        CEILING: ceiling,
        OURS: ours,
        f"unsorted batches of {UNSORTED_BATCH}": in_batches(UNSORTED_BATCH),
        "one text at a time": in_batches(1),
    }


def measured(ways: dict[str, Way], texts: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """Seconds of every round by way, interleaved; one round before them warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    console = Console(stderr=True)
    for number in track(range(rounds + 1), "Measuring", console=console, transient=True):
        for name, way in ways.items():
            started = time.perf_counter()
            way(texts)
            if number:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def figures(seconds: dict[str, list[float]], texts: int) -> dict[str, dict[str, float]]:
    """By way: speed as a share of the ceiling (median, least, most), and texts a second."""
    found = {}
    for name, rounds in seconds.items():
        shares = [top / own for top, own in zip(seconds[CEILING], rounds, strict=True)]
        found[name] = {
            "share_of_ceiling": statistics.median(shares),
            "share_least": min(shares),
            "share_most": max(shares),
            "texts_per_second": texts / statistics.median(rounds),
        }
    return found


def main() -> None:
    """Measure, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[1])
    parser.add_argument("--listings", type=Path, help="a CSV of listings; else generated ones")
    parser.add_argument("--model", default=MINILM, help="as for 'roomstream base import'")
    parser.add_argument("--texts", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    texts = texts_of(given.listings, given.texts)
    seconds = measured(ways(loaded(given.model), texts), texts, given.rounds)
    found = figures(seconds, len(texts))
    about = {
        "model": given.model,
        "texts": len(texts),
        "rounds": given.rounds,
        **machine("onnxruntime"),
    }
    table = Table("one thread", "share of the ceiling", "spread", "texts/s")
    for name, row in found.items():
        spread = f"{row['share_least']:.2f} to {row['share_most']:.2f}"
        table.add_row(
            name, f"{row['share_of_ceiling']:.2f}", spread, f"{row['texts_per_second']:.0f}"
        )
    console = Console()
    console.print(table)
    console.print(", ".join(f"{key} {value}" for key, value in about.items()), style="dim")
    if given.json:
        given.json.write_text(json.dumps({"about": about, "figures": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
