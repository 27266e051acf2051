"""The benchmark of learning runs end to end, with a tiny DistilBERT and the embedded broker."""

import csv
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.learning.command import main
from bench.learning.job import Doing, LeftOut, News, OutOfTime, Plan, run_job
from bench.learning.streams import Size
from bench.learning.table import METHODS
from roomstream.brokers import Broker
from schemas.errors import ExitCode
from tests.releases import FILLERS, WORDS
from tests.trainer.distilberts import save_model

ROOT = Path(__file__).resolve().parents[2]
CITIES = ("bilbao", "cork")
ROWS = 300
COLUMNS = ("listing_id", "city", "name", "room_type", "snapshot", "fold")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Listings of two cities, and a tiny model."""
    folder = tmp_path_factory.mktemp("data")
    save_model(folder / "model")
    chance = random.Random(0)
    for city in CITIES:
        with (folder / f"{city}.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(COLUMNS)
            for number in range(ROWS):
                label = chance.choice(list(WORDS))
                title = " ".join([*chance.sample(WORDS[label], 2), *chance.sample(FILLERS, 2)])
                rows.writerow([number, city, title, label, "2026-01-01", number % 5])
    return folder


def arguments(data: Path, report: Path) -> list[str]:
    return [
        *("--stream", ",".join(CITIES), "--data", str(data), "--model", str(data / "model")),
        *("--kept", str(data / "kept"), "--seeds", "1", "--processes", "1"),
        *("--report", str(report)),
    ]


def run(*given: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench.learning", *given]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def done(data: Path) -> subprocess.CompletedProcess[str]:
    """A whole run, which leaves `report.json` and `docs`."""
    return run(*arguments(data, data / "report.json"), "--docs", str(data / "docs"))


def test_files_in_turn_are_measured_and_drawn(
    data: Path, done: subprocess.CompletedProcess[str]
) -> None:
    """Every method has its figures; the trainer made releases; the page shows a table and a picture."""
    docs = data / "docs"
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads((data / "report.json").read_text())
    by_method = {each["method"]: each for each in found["results"]}
    page = (docs / "learning.md").read_text()

    assert set(by_method) == set(METHODS) - {"alone", "alone-soon"}
    assert all(0 <= each["scores"]["accuracy"] <= 1 for each in by_method.values())
    assert by_method["tfidf"]["scores"]["accuracy"] > 0.9
    assert all(by_method[name]["announced"] >= 1 for name in ("slda", "mixture", "ours"))
    assert by_method["slda"]["scores"]["labels"] == [240, 480]
    assert by_method["joint"]["scores"]["forgetting"] is None
    assert by_method["slda"]["scores"]["forgetting"] is not None
    assert all(each["cpu_seconds_per_1000_labels"] > 0 for each in by_method.values())
    assert found["left_out"] == []
    assert done.stdout.strip() == page.strip()
    assert f"Written to {docs / 'learning.md'}" in done.stderr
    assert f"Titles of {data}, title to room type" in page
    assert "| TF-IDF, refitted on everything |" in page
    assert (docs / "learning" / "bilbao-cork.svg").read_text().startswith("<?xml")


@pytest.mark.usefixtures("done")
def test_it_goes_on_from_a_report(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the report has is not run again; one of another size, or none, is refused."""
    report = data / "half.json"
    given = arguments(data, report)

    def refused(*more: str) -> str:
        monkeypatch.setattr(sys, "argv", ["bench.learning", *given, "--go-on", *more])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == ExitCode.USAGE
        return capsys.readouterr().err

    assert "no report to go on from" in refused("--methods", "tfidf")
    whole = json.loads((data / "report.json").read_text())
    first = [each for each in whole["results"] if each["method"] == "tfidf"]
    report.write_text(json.dumps(whole | {"results": first}))
    both = run(*given, "--go-on", "--methods", "tfidf,tfidf-sgd").stdout
    second = json.loads(report.read_text())["results"]

    assert [each["method"] for each in second] == ["tfidf", "tfidf-sgd"]
    assert first[0] == second[0]
    assert "TF-IDF + SGD, one pass" in both
    assert "go on with --rows" in refused("--methods", "tfidf", "--rows", "100")


def test_when_the_time_is_over_fine_tuning_ends_too(data: Path, embedded_broker: Broker) -> None:
    """Its process writes no more into the folder that is removed, and is gone."""
    plan = Plan(
        data=data,
        files=CITIES,
        csv=None,
        size=Size(),
        methods=("ours",),
        source=str(data / "model"),
        servers=embedded_broker.bootstrap_servers,
        kept=data / "kept",
        deadline=time.time() + 600,
    )
    news: list[News] = []

    def tell(each: News) -> None:
        news.append(each)
        if isinstance(each, Doing) and "slow path" in each.what and children():
            raise OutOfTime

    run_job(plan, group=0, seed=0, tell=tell)

    assert news[-1] == LeftOut("bilbao → cork", "ours", 0)
    assert children() == []


def children() -> list[psutil.Process]:
    """The processes that fine-tune for this one."""
    return [
        each
        for each in psutil.Process().children(recursive=True)
        if "finetun" in " ".join(each.cmdline())
    ]


def test_what_there_is_no_time_for_is_left_out(data: Path) -> None:
    """A job whose time is over tells of each run that it did not do."""
    plan = Plan(
        data=data,
        files=CITIES,
        csv=None,
        size=Size(),
        methods=("slda", "joint"),
        source=str(data / "model"),
        servers="",
        kept=data / "late",
        deadline=0,
    )
    news: list[News] = []
    run_job(plan, group=0, seed=0, tell=news.append)

    assert [each for each in news if not isinstance(each, Doing)] == [
        LeftOut("bilbao → cork", "slda", 0),
        LeftOut("bilbao → cork", "joint", 0),
    ]
    assert not plan.kept.exists()
