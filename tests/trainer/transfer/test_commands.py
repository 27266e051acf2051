"""`roomstream distil` and `roomstream finetune FILE`, as people type them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from artefacts.store import Store
from roomstream.brokers import Broker
from roomstream.cli import app
from roomstream.live import live_announcement, make_live, on_channels
from runtime.settings import KafkaSettings, SharedSettings, load
from runtime.topics import create_topics
from schemas.errors import RoomstreamError
from tests.trainer.distilberts import save_classifier, save_model
from tests.trainer.transfer.problem import LABELS, rows, save_teacher, write
from trainer.base_import import Imported, import_base
from trainer.transfer.distillation import Transfer

FAST = ("--learning-rate", "0.003", "--epochs", "7")
TOO_SHORT = ("--epochs", "0.01")


class Shop:
    """Topics, a store with a live classifier that knows nothing of the problem, and a file."""

    def __init__(self, broker: Broker, prefix: str, folder: Path, base: Imported) -> None:
        kafka = load(KafkaSettings, bootstrap_servers=broker.bootstrap_servers)
        create_topics(kafka, prefix, partitions=1, replication_factor=1)
        self.folder = folder
        self.kafka = kafka
        self.shared = SharedSettings(
            store=f"file://{folder / 'store'}", cache=folder / "cache", topic_prefix=prefix
        )
        self.file = write(folder / "rows.csv", rows(300))
        self._environment = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "ROOMSTREAM_STORE": self.shared.store,
            "ROOMSTREAM_CACHE": str(self.shared.cache),
            "ROOMSTREAM_TOPIC_PREFIX": prefix,
            "COLUMNS": "200",
        }
        base.publish(Store(self.shared.store))
        make_live(kafka, self.shared, base.manifest.release, "the test's base")

    def __call__(self, *arguments: object, **variables: str) -> Result:
        """Run a command."""
        words = [str(argument) for argument in arguments]
        return CliRunner().invoke(app, words, env=self._environment | variables)

    def refused(self, *arguments: object) -> RoomstreamError:
        """Run a command that must fail; why it did."""
        result = self(*arguments)
        assert isinstance(result.exception, RoomstreamError), result.output
        return result.exception

    def json(self, *arguments: object) -> Any:
        """Run a command that must work, with --json."""
        result = self(*arguments, "--json")
        assert result.exit_code == 0, (result.output, result.exception)
        return json.loads(result.stdout)

    @property
    def live(self) -> str:
        """The live release."""
        found = live_announcement(self.kafka, self.shared)
        assert found is not None
        return found.release

    @property
    def files(self) -> list[str]:
        """Everything that is in the folder but what was only fetched."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted(str(path) for path in found if "cache" not in path.parts)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    """A classifier with the right labels and random weights."""
    folder = tmp_path_factory.mktemp("models") / "base"
    save_classifier(folder, dict(enumerate(LABELS)))
    return import_base(str(folder), max_length=16)


@pytest.fixture
def shop(embedded_broker: Broker, topic_prefix: str, tmp_path: Path, base: Imported) -> Shop:
    return Shop(embedded_broker, topic_prefix, tmp_path, base)


@pytest.fixture(scope="module")
def unchanged(
    embedded_broker: Broker, tmp_path_factory: pytest.TempPathFactory, base: Imported
) -> Shop:
    """One for all that is refused, with models beside the file."""
    shop = Shop(embedded_broker, "unchanged.", tmp_path_factory.mktemp("unchanged"), base)
    save_teacher(shop.folder / "teacher", steps=0)
    save_model(shop.folder / "student")
    save_classifier(shop.folder / "other", {0: "a", 1: "b"})
    return shop


def test_a_better_student_goes_live_and_a_worse_one_does_not(shop: Shop) -> None:
    """Distilled, with its curve drawn; then one that learned nothing is refused with its figures."""
    save_teacher(shop.folder / "teacher")
    picture, base = shop.folder / "curve.svg", shop.live
    taught = ("distil", "--teacher", shop.folder / "teacher", "--data", shop.file)
    said = shop.json(*taught, *FAST, "--picture", picture)
    before = shop.files
    worse = shop(*taught, *TOO_SHORT)
    manifest = Store(shop.shared.store).manifest(said["release"])

    assert said["release"] == shop.live
    assert said["parent"] == base
    assert said["channel"] == "live"
    assert all(gate["passed"] for gate in said["gates"])
    assert said["quality"]["accuracy"] > 0.9
    assert picture.read_bytes().startswith(b"<?xml")
    assert manifest.learner == "distilled"
    assert "teacher" in manifest.base_model
    assert isinstance(worse.exception, RoomstreamError)
    assert worse.exception.exit_code == 3
    assert "accuracy:" in str(worse.exception)
    assert f"{said['release']} stays live" in str(worse.exception)
    assert "failed" in worse.stdout
    assert shop.files == before


def test_a_student_may_have_another_tokenizer_and_width(shop: Shop) -> None:
    """Then the cosine is left out, and that is said; losses are shown on the way."""
    save_teacher(shop.folder / "teacher", dim=16)
    save_model(shop.folder / "student", "multilingual")
    student = ("--student", shop.folder / "student")
    result = shop(
        "distil", "--teacher", shop.folder / "teacher", "--data", shop.file, *student, *FAST
    )

    assert result.exit_code == 0, result.output
    assert "The cosine is left out" in result.stderr
    assert "16 numbers, the student's 32" in " ".join(result.stderr.split())
    assert "validation loss" in result.stderr
    assert "(the best so far)" in result.stderr
    assert f"Release {shop.live} is live." in result.stdout


def test_a_file_fine_tunes_the_live_encoder_or_another_base(shop: Shop, base: Imported) -> None:
    """By default the live one's; one on trial where the trainer's candidates go on trial."""
    first = shop.json("finetune", shop.file, *FAST)
    save_model(shop.folder / "other")
    other = shop("finetune", shop.file, "--base", shop.folder / "other", *FAST,
                 TRAINER_PROMOTION="canary")  # fmt: skip
    store = Store(shop.shared.store)
    on_trial = on_channels(shop.kafka, shop.shared).get("canary")

    assert shop.live == first["release"]
    assert store.manifest(first["release"]).base_model == base.manifest.base_model
    assert other.exit_code == 0, other.output
    assert on_trial is not None
    assert store.manifest(on_trial.release).base_model == str(shop.folder / "other")
    assert "on trial as canary" in other.stdout
    assert shop.json("finetune")["fine_tuned"][0]["why"] == "on rows.csv"


def _file(content: str) -> Callable[[Shop], Path]:
    def made(shop: Shop) -> Path:
        path = shop.folder / "bad.csv"
        path.write_text(content)
        return path

    return made


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda shop: shop.folder / "nowhere.csv", "cannot be read"),
        (_file("title,kind\nloft,a\n"), "no column 'label' or 'room_type'"),
        (_file("text,label\nloft,a\n"), "no column 'title' or 'name'"),
        (
            _file("title,label\nloft,a\n ,b\nroom,\n"),
            r"2 have no title or no label.*row 2 \(line-3\)",
        ),
        (_file("title,label\n" + "loft,a\n" * 300), "fewer than two classes"),
        (_file("title,label\nloft,a\nroom,b\n"), "too few to trust"),
        (_file("title,label\n" + f"loft,{'x' * 101}\nroom,b\n" * 300), "cannot be sent"),
    ],
    ids=["nowhere", "no label", "no title", "holes", "one class", "too few", "long label"],
)
def test_a_wrong_file_is_refused(unchanged: Shop, made: Callable[[Shop], Path], says: str) -> None:
    """With exit code 2 and the place, before anything is loaded or written."""
    shop, file = unchanged, made(unchanged)
    before, live = shop.files, shop.live
    error = shop.refused("finetune", file)

    assert error.exit_code == 2
    with pytest.raises(RoomstreamError, match=says):
        raise error
    assert shop.files == before
    assert shop.live == live


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("distil", "--teacher", "nowhere", "--data", "FILE"), "is no folder"),
        (("distil", "--teacher", "student", "--data", "FILE"), "classifies nothing"),
        (("distil", "--teacher", "teacher", "--data", "FILE", "--student", "nowhere"), "loaded as"),
        (("distil", "--teacher", "other", "--data", "FILE"), "which the teacher does not know"),
        (("distil", "--teacher", "teacher", "--data", "FILE", "--picture", "x.abc"), "--picture"),
        (("distil", "--teacher", "teacher", "--data", "FILE", "--max-length", "999"), "3 to 64"),
        (("finetune", "FILE", "--base", "nowhere"), "cannot be loaded"),
        (("finetune", "FILE", "--now"), "give one of them"),
        (("finetune", "--picture", "x.svg"), "name it as well"),
    ],
)
def test_wrong_options_are_refused(
    unchanged: Shop, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], says: str
) -> None:
    """With exit code 2; nothing is written."""
    shop = unchanged
    monkeypatch.chdir(shop.folder)
    before, live = shop.files, shop.live
    error = shop.refused(*(shop.file if each == "FILE" else each for each in arguments))

    assert error.exit_code == 2
    assert says in str(error)
    assert shop.files == before
    assert shop.live == live


def test_a_pinned_release_stays(shop: Shop) -> None:
    """Said before the training, with how to unpin it."""
    make_live(shop.kafka, shop.shared, shop.live, "a test", pinned=True)
    error = shop.refused("finetune", shop.file)

    assert error.exit_code == 3
    assert "pinned" in str(error)


def test_interrupted_it_leaves_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of the training: no release, no picture, and that is said."""
    before, live, whole = shop.files, shop.live, Transfer.advance

    def interrupted(training: Transfer) -> None:
        if training.step == 5:
            raise KeyboardInterrupt
        whole(training)

    monkeypatch.setattr(Transfer, "advance", interrupted)
    result = shop("finetune", shop.file, *FAST, "--picture", shop.folder / "curve.svg")

    assert result.exit_code != 0
    assert "Interrupted: no candidate was announced" in result.stderr
    assert shop.files == before
    assert shop.live == live
