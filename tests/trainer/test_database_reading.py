"""Reading what the trainer keeps, without touching it."""

import sqlite3
from pathlib import Path

import msgspec
import pytest

from artefacts.manifest import GateResult
from schemas.errors import ConfigurationError, RoomstreamError
from tests.trainer.bench import Bench
from tests.trainer.labels import labelled, learned_numbers
from trainer.database_reading import kept_listings, recorded_candidate, refused_candidates

NUMBERS = [*learned_numbers(4), *learned_numbers(2, held_out=True)]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A trainer that keeps some listings."""
    bench = Bench(tmp_path)
    bench.feed(*(labelled(number) for number in NUMBERS))
    return bench


def test_holdout_and_replay_are_read_while_the_trainer_writes(bench: Bench) -> None:
    """Its transaction neither waits for us nor shows before it is whole."""
    path = bench.folder / "trainer.sqlite"
    with bench.database.transaction():
        bench.database.kept.remove(f"l-{NUMBERS[0]}")
        before = kept_listings(path)
    after = kept_listings(path)

    assert [each.held_out for each in before] == [True] * 2 + [False] * 4
    assert [each.held_out for each in after] == [True] * 2 + [False] * 3
    assert (labelled(NUMBERS[-1]).title, labelled(NUMBERS[-1]).label) == (
        before[0].text,
        before[0].label,
    )
    bench.close()


def test_a_trainer_that_stopped_finds_its_file_as_it_left_it(bench: Bench) -> None:
    """No byte changes and no file appears beside it: one of another user would lock the trainer out."""
    path = bench.folder / "trainer.sqlite"
    bench.close()
    names, data = sorted(bench.folder.glob("*.sqlite*")), path.read_bytes()

    assert len(kept_listings(path)) == len(NUMBERS)
    assert (sorted(bench.folder.glob("*.sqlite*")), path.read_bytes()) == (names, data)


def test_a_refused_candidate_can_be_looked_up(bench: Bench) -> None:
    """With the gates that it failed; nothing is made up of one that never was."""
    gate = GateResult("accuracy", False, "80.0%, the live release 90.0%")
    refused = msgspec.structs.replace(bench.live.manifest, release="refused", evaluation=[gate])
    with bench.database.transaction():
        bench.database.candidates.add(refused, "refused", 1)
        bench.database.candidates.add(bench.live.manifest, "announced", 1)
    path = bench.folder / "trainer.sqlite"

    assert recorded_candidate(path, "refused") == refused
    assert recorded_candidate(path, "never") is None
    assert refused_candidates(path) == [refused]
    bench.close()


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Another version, or no database at all."""
    other, garbage = tmp_path / "other.sqlite", tmp_path / "garbage #1?.sqlite"
    with sqlite3.connect(other) as sql:
        sql.execute("PRAGMA user_version = 77")
    sql.close()
    garbage.write_bytes(b"no database" * 1_000)

    with pytest.raises(ConfigurationError, match="version 77"):
        kept_listings(other)
    with pytest.raises(RoomstreamError, match="damaged"):
        kept_listings(garbage)
