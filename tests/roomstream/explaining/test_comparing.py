"""Explaining a release of a store on this machine."""

from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from artefacts.errors import ReleaseMissing
from artefacts.manifest import HEAD, Blob, GateResult, Manifest
from artefacts.store import Store
from roomstream.cli import app
from roomstream.explaining.comparing import explained, found
from roomstream.explaining.examples import Examples
from roomstream.explaining.words import sentences
from schemas.errors import ConfigurationError
from tests.roomstream.explaining.pairs import pair
from tests.trainer.bench import Bench
from tests.trainer.labels import labelled
from trainer.database import Database


class Machine:
    """A store, a cache, and perhaps a trainer's database."""

    def __init__(self, folder: Path) -> None:
        self.cache = folder / "cache"
        self.store = Store(f"file://{folder / 'store'}")
        self.parent, self.release = pair(self.store)

    def examples(self, manifest: Manifest) -> Examples:
        """What changed."""
        found = explained(manifest, self.store, self.cache, 10).examples
        assert found is not None
        return found


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """One without a trainer so far."""
    monkeypatch.setenv("TRAINER_DATABASE", str(tmp_path / "trainer.sqlite"))
    return Machine(tmp_path)


def test_examples_are_what_the_trainer_keeps(machine: Machine, tmp_path: Path) -> None:
    """Both releases answer hold-out and replay; each example says which it is from."""
    bench = Bench(tmp_path)
    bench.feed(*(labelled(number) for number in range(200)))
    bench.close()

    examples = machine.examples(machine.release)

    assert "hold-out and the replay buffer" in examples.source
    assert examples.answered == 200
    assert examples.turns["became right"] == 100  # the kinds of room that the parent did not know
    assert {each.truth for each in examples.shown} == {"Shared room", "Hotel room"}
    assert {each.origin for each in examples.shown} <= {"held out", "learned"}


def test_without_a_trainer_here_the_listings_are_made_up(machine: Machine) -> None:
    """It is said, and so is why."""
    examples = machine.examples(machine.release)

    assert "made up, since" in examples.source
    assert "trainer.sqlite is not here" in examples.source
    assert {each.origin for each in examples.shown} == {"made up"}


def test_a_database_that_cannot_be_read_is_no_reason_to_explain_nothing(
    machine: Machine, tmp_path: Path
) -> None:
    """Such as one of another version."""
    (tmp_path / "trainer.sqlite").write_bytes(b"no database" * 1_000)

    examples = machine.examples(machine.release)

    assert "cannot be read: " in examples.source
    assert examples.answered > 0


def test_a_parent_that_cannot_be_loaded_is_said(machine: Machine) -> None:
    """Its figures are in its manifest all the same."""
    lost = Blob.of(b"lost")
    parent = msgspec.structs.replace(machine.parent, blobs={**machine.parent.blobs, HEAD: lost})
    machine.store.put(b"lost")
    machine.store.publish(parent)

    explanation = explained(machine.release, machine.store, machine.cache, 10)

    assert explanation.compared
    assert explanation.examples is not None
    assert f"{parent.release} cannot be loaded." in (explanation.examples.fault or "")


def test_a_parent_that_is_gone_is_said(machine: Machine) -> None:
    """Releases are kept for ever by us, but whoever owns the store may delete some."""
    orphan = msgspec.structs.replace(machine.release, parent="never-published")
    explanation = explained(orphan, machine.store, machine.cache, 10)

    assert (explanation.compared, explanation.examples) == (False, None)
    with pytest.raises(ReleaseMissing):
        machine.store.manifest("never-published")


def test_a_refused_candidate_is_explained_where_its_trainer_is(
    machine: Machine, tmp_path: Path
) -> None:
    """It is in no store, but whoever asks why it is not live gets an answer."""
    with pytest.raises(ReleaseMissing):
        found("refused", machine.store)
    lost = Blob.of(b"never published")
    refused = msgspec.structs.replace(
        machine.release, release="refused", blobs={**machine.release.blobs, HEAD: lost}
    )
    with Database(tmp_path / "trainer.sqlite") as database, database.transaction():
        database.candidates.add(refused, "refused", 1)

    manifest = found("refused", machine.store)
    explanation = explained(manifest, machine.store, machine.cache, 10)
    said = "\n".join(sentences(explanation))

    assert manifest == refused
    assert "It failed 1 of 2 gates: recall of every class. The trainer did not announce it." in said
    assert "No examples of changed answers: its parts are not in this store." in said


def test_refused_candidates_are_listed_where_their_trainer_is(
    machine: Machine, tmp_path: Path
) -> None:
    """With the gates that refused them; elsewhere it is said where to ask."""
    command = ["releases", "list", "--refused"]
    elsewhere = CliRunner().invoke(app, command)
    failed = GateResult("recall", False, "Hotel room loses 40.0%")
    refused = msgspec.structs.replace(machine.release, release="refused", evaluation=[failed])
    with Database(tmp_path / "trainer.sqlite") as database, database.transaction():
        database.candidates.add(refused, "refused", 1)
        database.candidates.add(machine.release, "announced", 1)
    listed = CliRunner().invoke(app, [*command, "--json"])
    shown = CliRunner().invoke(app, command)
    (facts,) = msgspec.json.decode(listed.stdout)

    assert isinstance(elsewhere.exception, ConfigurationError)
    assert "TRAINER_DATABASE" in str(elsewhere.exception)
    assert (facts["release"], facts["live"]) == ("refused", False)
    assert [gate["gate"] for gate in facts["evaluation"]] == ["recall"]
    assert "0 of 1" in shown.stdout
    assert "releases show ID" in shown.stdout


def test_nobody_has_to_wait_for_examples(machine: Machine) -> None:
    """With 0 no release is loaded."""
    assert explained(machine.release, machine.store, machine.cache, 0).examples is None
    assert not machine.cache.exists()
