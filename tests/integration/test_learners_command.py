"""`roomstream learners`: which there are, and how they do on labels of a file or of the trainer."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from roomstream.cli import app
from tests.trainer.bench import Bench
from tests.trainer.labels import labelled
from trainer.learner_names import LEARNER_NAMES

ROWS = [labelled(number) for number in range(240)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Labelled listings, as people keep them."""
    path = tmp_path / "listings.csv"
    with path.open("w", newline="") as opened:
        rows = [(row.listing_id, row.title, row.label) for row in ROWS]
        csv.writer(opened).writerows([("id", "title", "label"), *rows])
    return path


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A store of our own."""
    return {
        "ROOMSTREAM_STORE": f"file://{tmp_path / 'store'}",
        "ROOMSTREAM_CACHE": str(tmp_path / "cache"),
        "TRAINER_DATABASE": str(tmp_path / "trainer.sqlite"),
        "COLUMNS": "200",
    }


def compare(environment: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(app, ["learners", "compare", *arguments], env=environment)


def compared(environment: dict[str, str], *arguments: str) -> list[dict[str, Any]]:
    """What it prints as JSON."""
    done = compare(environment, *arguments, "--json")
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_every_learner_is_listed() -> None:
    """With a few words on each."""
    listed = CliRunner().invoke(app, ["learners", "list", "--json"])

    assert json.loads(listed.stdout) == dict(LEARNER_NAMES)


def test_all_learners_are_compared_on_a_file(
    file: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """With the features of a release: a row each, the best first, and a picture."""
    bench = Bench(tmp_path)
    picture = tmp_path / "curve.svg"
    options = ("--release", bench.live.manifest.release, "--picture", str(picture))
    found = compared(environment, str(file), *options)
    bench.close()

    assert {each["learner"] for each in found} == set(LEARNER_NAMES)
    accuracies = [each["accuracy"] for each in found]
    assert accuracies == sorted(accuracies, reverse=True)
    assert max(accuracies) <= 1 - 64 / len(ROWS)  # of the first mini-batch nobody knows a class
    assert min(each["curve"][-1][1] for each in found) > 0.5
    assert max(each["curve"][-1][1] for each in found) > 0.95
    for each in found:
        assert each["labels"] == len(ROWS)
        assert set(each["recall"]) == {row.label for row in ROWS}
        assert min(each["label_microseconds"], each["prediction_microseconds"]) > 0
        assert min(each["state_bytes"], each["head_bytes"]) > 0
        assert [labels for labels, _ in each["curve"]] == sorted(
            labels for labels, _ in each["curve"]
        )
    drawn = picture.read_text()
    assert all(f">{name}<" in drawn or name in drawn for name in ("slda", "gaenari"))


def test_the_replay_buffer_is_compared_on_while_a_trainer_has_it(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """What is learned counts, what is held out does not; the table is for people."""
    bench = Bench(tmp_path)
    bench.feed(*ROWS)
    arguments = ("--learner", "ncm", "--learner", "slda", "--release", bench.live.manifest.release)
    found = compared(environment, *arguments)
    shown = compare(environment, *arguments)
    learned, held_out = len(bench.kept), len(bench.held_out)
    bench.close()

    assert {each["learner"]: each["labels"] for each in found} == {"ncm": learned, "slda": learned}
    assert learned + held_out == len(ROWS)
    assert held_out > 0
    assert "µs/label" in shown.stdout
    assert "Recall of each class" in shown.stdout
    assert f"Features by release {bench.live.manifest.release}." in shown.stderr


def test_spanish_and_english_titles_are_compared_without_a_release(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """The packaged MiniLM makes the features, and says so."""
    path = tmp_path / "listings.csv"
    rows = [
        (f"Piso entero en Lavapiés, planta {n}", "Entire home/apt") if n % 2 else
        (f"Private room near the park, bed {n}", "Private room")
        for n in range(128)
    ]  # fmt: skip
    with path.open("w", newline="") as opened:
        csv.writer(opened).writerows([("title", "label"), *rows])
    done = compare(environment, str(path), "--learner", "slda", "--json")

    assert done.exit_code == 0, done.output
    assert "No release is live: features by the packaged MiniLM." in done.stderr
    (found,) = json.loads(done.stdout)
    assert found["accuracy"] > 0.4  # of 128, the first 64 came before anything was learned
    assert found["curve"][-1][1] >= found["accuracy"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--learner", "perceptron"), "There is no learner perceptron. Known are: mixture,"),
        ((), "There is no trainer's database"),
        (("few.csv",), "2 labels of 1 classes: a. Learners can be compared on 20 labels"),
        (("--release", "gone", "many.csv"), "gone"),
    ],
)
def test_what_cannot_be_compared_is_said(
    environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    says: str,
) -> None:
    """As an error of configuration, with what to do."""
    monkeypatch.chdir(tmp_path)
    for name, count in (("few.csv", 2), ("many.csv", 40)):
        labels = "ab" if count > 2 else "a"
        lines = [f"title {n},{labels[n % len(labels)]}" for n in range(count)]
        Path(name).write_text("\n".join(["title,label", *lines]))
    done = compare(environment, *arguments)

    assert done.exit_code != 0
    assert says in str(done.exception) + done.output
