"""The learning benchmark writes where it was told to, and says where that was."""

import json
import sys
from pathlib import Path

import msgspec
import pytest

from bench.learning.command import QUICK, arguments, main
from bench.learning.running import _ONE_THREAD
from bench.learning.streams import Size
from tests.bench.results import result


@pytest.mark.parametrize(
    ("given", "docs"),
    [
        ("", Path("docs")),
        ("--report learning.json --go-on --processes 1", Path("docs")),
        ("--seeds 1", None),
        ("--rows 100", None),
        ("--data elsewhere", None),
        ("--minutes 5", None),
        ("--model distilbert-base-uncased", None),
        ("--csv tasks.csv", None),
        ("--quick", None),
        ("--quick --docs there", Path("there")),
    ],
)
def test_only_the_standard_run_writes_to_docs_by_itself(
    monkeypatch: pytest.MonkeyPatch, given: str, docs: Path | None
) -> None:
    """Whatever decides the figures keeps others from replacing them."""
    monkeypatch.setattr(sys, "argv", ["bench.learning", *given.split()])

    assert arguments().docs == docs


def test_a_quick_run_of_tasks_goes_on_from_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is done is not run again; the page tells what its texts are, and no file is written."""
    monkeypatch.chdir(tmp_path)
    rows = [f"text {n},label,first,{'test' if n < 4 else 'train'}" for n in range(30)]
    Path("tasks.csv").write_text("\n".join(["text,label,task,split", *rows]))
    size = Size(share=QUICK)
    about = {"rows": size.of(size.rows), "test rows": size.of(size.test), "minutes": 1.5}
    found = [msgspec.to_builtins(result("tasks", "tfidf", accuracy=0.625))]
    Path("learning.json").write_text(json.dumps({"about": about, "results": found}))
    for name in (*_ONE_THREAD, "TOKENIZERS_PARALLELISM"):
        monkeypatch.setenv(name, "1")  # what the run sets is taken back
    given = "--csv tasks.csv --quick --methods tfidf --report learning.json --go-on"
    monkeypatch.setattr(sys, "argv", ["bench.learning", *given.split()])
    main()
    shown = capsys.readouterr()

    assert "Texts of tasks.csv, task after task" in shown.out
    assert "Inside Airbnb" not in shown.out
    assert "| TF-IDF, refitted on everything | 62.5 |" in shown.out
    assert "--docs DIR writes this page too" in shown.err
    assert {path.name for path in tmp_path.iterdir()} == {"tasks.csv", "learning.json"}
