"""Explaining a release of a store on this machine."""

from pathlib import Path

import msgspec
import pytest

from artefacts.errors import ReleaseMissing
from artefacts.manifest import HEAD, Blob, Manifest
from artefacts.store import Store
from roomstream.explaining.comparing import explained
from roomstream.explaining.examples import Examples
from tests.roomstream.explaining.pairs import pair
from tests.trainer.bench import Bench
from tests.trainer.labels import labelled


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

    found = machine.examples(machine.release)

    assert "hold-out and the replay buffer" in found.source
    assert found.answered == 200
    assert found.turns["became right"] == 100  # the kinds of room that the parent did not know
    assert {each.truth for each in found.shown} == {"Shared room", "Hotel room"}
    assert {each.origin for each in found.shown} <= {"held out", "learned"}


def test_without_a_trainer_here_the_listings_are_made_up(machine: Machine) -> None:
    """It is said, and so is why."""
    found = machine.examples(machine.release)

    assert "made up, since" in found.source
    assert "trainer.sqlite is not here" in found.source
    assert {each.origin for each in found.shown} == {"made up"}


def test_a_database_that_cannot_be_read_is_no_reason_to_explain_nothing(
    machine: Machine, tmp_path: Path
) -> None:
    """Such as one of another version."""
    (tmp_path / "trainer.sqlite").write_bytes(b"no database" * 1_000)

    found = machine.examples(machine.release)

    assert "cannot be read: " in found.source
    assert found.answered > 0


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


def test_nobody_has_to_wait_for_examples(machine: Machine) -> None:
    """With 0 no release is loaded."""
    assert explained(machine.release, machine.store, machine.cache, 0).examples is None
    assert not machine.cache.exists()
