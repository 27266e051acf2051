"""The benchmark of transfer: what it learns from and writes, and a teacher that can be loaded again."""

import random
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from artefacts.manifest import Losses
from artefacts.tokenisation import Tokenizer
from bench.transfer.command import arguments, main
from bench.transfer.data import lessons
from bench.transfer.models import answers, save_classifier, trained
from bench.transfer.report import ALONE, DISTILLED, TEACHER, TO_THE_END, Figures, Measured, page
from bench.transfer.running import ToTheEnd
from schemas.errors import ConfigurationError
from tests.trainer.distilberts import tokenizer
from tests.trainer.finetuning.jobs import tiny_encoder
from tests.trainer.transfer.problem import LABELS, rows
from trainer.transfer.distillation import Transfer
from trainer.transfer.lessons import Lessons
from trainer.transfer.plan import LABELS_ALONE, Pace
from trainer.transfer.teachers import Teacher


@pytest.mark.parametrize(
    ("given", "docs"),
    [
        ("", Path("docs")),
        ("--report found.json", Path("docs")),
        ("--quick", None),
        ("--rows 100", None),
        ("--quick --docs there", Path("there")),
    ],
)
def test_only_the_standard_run_writes_to_docs_by_itself(
    monkeypatch: pytest.MonkeyPatch, given: str, docs: Path | None
) -> None:
    """Whatever decides the figures keeps others from replacing them."""
    monkeypatch.setattr(sys, "argv", ["bench.transfer", *given.split()])

    assert arguments().docs == docs


def test_hosts_of_the_test_are_not_learned(tmp_path: Path) -> None:
    """Fold 0 is the test; as many rows of each city."""
    for city in ("here", "there"):
        made = [f"{n},{city},title {n},{'ab'[n % 2]},2020,{n % 5}" for n in range(100)]
        header = "listing_id,city,name,room_type,snapshot,fold"
        (tmp_path / f"{city}.csv").write_text("\n".join([header, *made]))
    found = lessons(tmp_path, ["here", "there"], taught=60, tested=20, seed=0)

    assert [sum(row.domain == city for row in found.taught) for city in ("here", "there")] == [
        30,
        30,
    ]
    assert len(found.held_out) == 20
    assert all(int(row.text.split()[1]) % 5 == 0 for row in found.held_out)
    assert all(int(row.text.split()[1]) % 5 for row in found.taught)
    assert found.classes == ["a", "b"]


def test_a_trained_model_teaches_as_it_answers(tmp_path: Path) -> None:
    """Written as transformers has it and loaded again, it says what its graphs say."""
    json = tokenizer().to_str().encode()
    cut, taught = Tokenizer(json, 16), Lessons.of(rows(300), LABELS, 0.1)
    encoder = tiny_encoder()
    encoder.pooling = "first"
    training = Transfer(encoder, taught.tokenised(cut), LABELS_ALONE, Pace(epochs=1, rate=3e-3))
    found = trained(training, cut, taught, lambda _: None)
    save_classifier(found, json, LABELS, tmp_path)
    texts = [row.text for row in rows(20, seed=3)]
    logits = Teacher(tmp_path).teach(texts, LABELS, "first", 16).logits
    ours = answers(found, cut.encode(texts), LABELS).probabilities

    np.testing.assert_allclose(torch.softmax(torch.tensor(logits), 1).numpy(), ours, atol=0.02)


def test_the_control_learns_to_its_last_step_and_keeps_that() -> None:
    """Where the others stop and go back to their best weights, it does neither."""
    cut = Tokenizer(tokenizer().to_str().encode(), 16)
    chance = random.Random(0)
    noise = [row._replace(label=chance.choice(LABELS)) for row in rows(300)]
    taught = Lessons.of(noise, LABELS, 0.1).tokenised(cut)
    overfitting = Pace(epochs=15, rate=3e-2, patience=1)
    common, control = (
        kind(tiny_encoder(), taught, LABELS_ALONE, overfitting) for kind in (Transfer, ToTheEnd)
    )
    for training in (common, control):
        while not training.stopped:
            training.advance()

    assert common.stopped == "overfitting"
    assert control.stopped == "all steps"
    assert control.best_step == control.step == control.steps > common.step
    last = control.curve[-1].validation
    model = control.best_model()
    kept = torch.nn.utils.parameters_to_vector(model.parameters()).clone()
    best = Transfer.best_model(control)
    assert last > min(each.validation for each in control.curve)
    assert not torch.equal(kept, torch.nn.utils.parameters_to_vector(best.parameters()))


def figures() -> Figures:
    """Of all models, made up."""
    found = [
        Measured(
            name=name,
            layers=layers,
            size_bytes=10_000_000 * layers,
            microseconds=500.0 * layers,
            accuracy=0.8,
            accuracy_interval=(0.75, 0.85),
            macro_f1=0.6,
            macro_f1_interval=(0.5, 0.7),
            by_city={"nyc": 0.8},
            by_class={"Private room": 0.7},
            agreement=0.9,
            log_loss=0.4,
            cpu_seconds=12.0,
            steps=100,
            best_step=90,
            stopped="all steps",
            curve=[Losses(10, 1.0, 1.1)],
        )
        for name, layers in ((TEACHER, 6), (DISTILLED, 3), (ALONE, 3), (TO_THE_END, 3))
    ]
    names = ("processor", "cores", "load", "torch", "transformers", "onnxruntime", "minutes", "at")
    about = dict.fromkeys(names, "x") | {"taught": 10, "tested": 5, "cities": "nyc"}
    gained = {
        ALONE: {"accuracy": (0.01, -0.005, 0.02)},
        TO_THE_END: {"accuracy": (0.0, -0.01, 0.01)},
    }
    return Figures(about, found, gained)


def test_the_page_has_every_model_and_how_much_faster_it_is() -> None:
    """Ratios, intervals and what the teacher adds."""
    text = page(figures(), {TEACHER: "transfer/t.svg"})

    assert "2.00 times as fast as its teacher, and has 50% of its size" in text
    assert f"| {ALONE} | +1.0 (-0.5 to +2.0) |" in text
    assert f"| {TO_THE_END} | +0.0 (-1.0 to +1.0) |" in text
    assert "So the teacher adds nothing here" in text
    assert "| student, distilled | 3 | 80.0 (75.0 to 85.0) | 60.0 (50.0 to 70.0) | 90.0 |" in text
    assert "![Losses of the teacher](transfer/t.svg)" in text
    assert "roomstream distil --teacher" in text


def test_the_page_is_written_again_from_its_figures(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without a measurement, and to the same bytes each time."""
    (tmp_path / "transfer").mkdir()
    kept = tmp_path / "transfer" / "figures.json"
    kept.write_bytes(msgspec.json.encode(figures()))
    command = ["bench.transfer", "--measure-nothing", "--docs", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", command)
    pages = []
    for _ in range(2):
        main()
        pages.append([path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()])

    assert pages[0] == pages[1]
    assert len(pages[0]) == 2 + len(figures().models)


def test_figures_that_are_not_there_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what to do, and ends with the exit code of a wrong setting."""
    command = ["bench.transfer", "--measure-nothing", "--docs", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == ConfigurationError.exit_code
    assert "figures.json cannot be read" in capsys.readouterr().err
