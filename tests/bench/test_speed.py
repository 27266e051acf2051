"""The speed benchmark: ratios by hand, operations as torch counts them, and equal answers of all ways."""

from itertools import cycle
from pathlib import Path
from time import sleep
from types import SimpleNamespace

import pytest
import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode
from transformers import DistilBertModel

from bench.speed import rounds, serving
from bench.speed.check import compared
from bench.speed.command import PARTS
from bench.speed.models import Size, loaded, saved
from bench.speed.parts import Aim, Run
from bench.speed.report import Section, page, pictures, read, written
from bench.speed.rounds import Ratio, Timing, Way, interleaved
from bench.speed.serving import CEILING, OURS, PIPELINE, Serving, _pipeline
from bench.speed.titles import titles
from schemas.errors import ConfigurationError
from trainer.base_import import import_base

TINY = Size("tiny", dim=24, hidden=48, layers=2)
TEXTS = ["Room near Gran Vía", "Loft", "Piso entero con terraza y vistas al mar", "Shared dorm"]


@pytest.fixture(autouse=True)
def _as_before() -> object:
    """The threads of torch and what transformers shows are the process's."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    transformers.logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def test_a_ratio_is_of_the_same_round() -> None:
    """A machine that is twice as slow in one round changes no ratio of it."""
    ours = Timing(100, [1.0, 2.0, 1.0], [1.0, 2.0, 1.0])
    theirs = Timing(50, [1.0, 2.0, 2.0], [1.0, 2.0, 2.0])

    assert Ratio.of(ours.rates, theirs.rates) == Ratio(2.0, 2.0, 4.0)
    assert ours.rates == [100, 50, 100]
    assert ours.cpu_milliseconds == 10


def test_ways_take_turns_and_the_first_round_warms_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each runs once a round; what the first took counts nowhere."""
    clock = cycle([0.0])
    now = SimpleNamespace(wall=0.0)

    def passes(seconds: float) -> None:
        now.wall += seconds

    monkeypatch.setattr(
        rounds, "time",
        SimpleNamespace(perf_counter=lambda: now.wall, process_time=lambda: next(clock)),
    )  # fmt: skip
    order: list[str] = []
    slow = iter([9.0, 2.0, 4.0])
    ways = {"a": Way(lambda: passes(1), 10), "b": Way(lambda: passes(next(slow)), 10)}
    found = interleaved(ways, 2, order.append)

    assert order == ["a", "b"] * 3
    assert found["a"].wall_seconds == [1, 1]
    assert found["b"].wall_seconds == [2, 4]


def test_the_clock_is_real() -> None:
    """A way that sleeps takes wall time and hardly any of the processor."""
    timing = interleaved({"sleeps": Way(lambda: sleep(0.05), 1)}, 1, lambda _: None)["sleeps"]

    assert timing.wall_seconds[0] >= 0.05
    assert timing.cpu_seconds[0] < 0.05


@pytest.mark.parametrize("tokens", [3, 17, 64])
def test_operations_are_those_that_torch_counts(tmp_path: Path, tokens: int) -> None:
    """Of all matrix products of the encoder."""
    encoder = DistilBertModel.from_pretrained(saved(TINY, tmp_path), attn_implementation="eager")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        encoder(torch.ones((1, tokens), dtype=torch.int64))

    assert counter.get_total_flops() == TINY.operations(tokens)


def test_all_ways_give_the_same_answers(tmp_path: Path) -> None:
    """The pipeline and the release have the same weights and tokenizer."""
    source = str(saved(TINY, tmp_path))
    ours = loaded(import_base(source)).predict(TEXTS)
    theirs = _pipeline(source)(TEXTS)

    for answer, scores in zip(ours, theirs, strict=True):  # type: ignore[call-overload]
        found = {each["label"]: each["score"] for each in scores}
        assert found == pytest.approx(answer.scores, abs=1e-5)


def test_a_run_becomes_a_page_with_a_picture(tmp_path: Path) -> None:
    """Every way has its row, and the same figures give the same files."""
    labels = {f"{text} {number}": "Private room" for number in range(40) for text in TEXTS}
    run = Run([TINY], labels, 2, 1, 1, lambda _: None, tmp_path / "nowhere")
    (measured,) = serving.PART.measure(run)
    assert isinstance(measured, Serving)
    found = {"serving": Section.of({"cores": 2}, [measured])}
    for folder in ("one", "two"):
        pictures(found, tmp_path / folder)
    text = page(PARTS, found)

    assert measured.against_ceiling(CEILING) == Ratio(1, 1, 1)
    assert set(measured.timings) == set(measured.padding)
    assert len(measured.limit) == 2
    assert measured.padding[OURS] < measured.padding[PIPELINE.format(32)]
    for way in measured.timings:
        assert f"| {way} | " in text
    assert (
        "| classifier against ONNX Runtime alone on sorted batches, tiny | at least 0.97 | " in text
    )
    assert "serving-tiny.svg" in text
    assert "Measured on: cores 2." in text
    one, two = ((tmp_path / each / "serving-tiny.svg").read_bytes() for each in ("one", "two"))
    assert one == two

    (tmp_path / "figures.json").write_bytes(written(found))
    assert read(tmp_path / "figures.json", PARTS) == found


def aim(what: str, median: float, **more: str) -> Aim:
    """A ratio, of which more is better unless said otherwise."""
    settings = {"better": "more", **more}
    return Aim(what=what, aim=1, found=Ratio(median, median, median), **settings)  # type: ignore[arg-type]


def test_only_ratios_that_are_worse_fail_the_check() -> None:
    """By more than the tolerance, on the side that is bad; seconds and new ratios say nothing."""
    before = [
        aim("speed", 1.0), aim("swaps", 1.0, better="less"), aim("start", 1.0, better="less", unit="s"),
    ]  # fmt: skip
    now = [
        aim("speed", 0.95),
        aim("swaps", 1.25, better="less"),
        aim("start", 9.0, better="less", unit="s"),
        aim("new", 0.1),
    ]
    found = compared(now, before, 0.1)

    assert found == [
        ("speed: 0.95 (0.95 to 0.95), was 1.00 (1.00 to 1.00): 5% worse", True),
        ("swaps: 1.25 (1.25 to 1.25), was 1.00 (1.00 to 1.00): 25% worse", False),
    ]
    assert compared([aim("speed", 2.0)], before, 0.1) == [
        ("speed: 2.00 (2.00 to 2.00), was 1.00 (1.00 to 1.00): 50% better", True)
    ]


@pytest.mark.parametrize(("most", "good"), [(0.7, False), (0.85, True)])
@pytest.mark.parametrize("better", ["more", "less"])
def test_what_overlaps_may_be_noise(better: str, most: float, good: bool) -> None:
    """A median far worse fails only where every round is worse than each of the reference."""

    def of(*rounds: float) -> Aim:
        low, middle, high = sorted(rounds if better == "more" else [1 / each for each in rounds])
        return Aim(what="speed", aim=1, better=better, found=Ratio(middle, low, high))  # type: ignore[arg-type]

    ((_, found),) = compared([of(0.5, 0.6, most)], [of(0.8, 1.0, 1.1)], 0.1)

    assert found is good


def test_figures_to_compare_with_must_be_there(tmp_path: Path) -> None:
    """Else it says how they are made."""
    (tmp_path / "figures.json").write_text("[]")
    for path in (tmp_path / "figures.json", tmp_path / "none"):
        with pytest.raises(ConfigurationError, match="make bench"):
            read(path, PARTS)


def test_titles_are_made_up_where_there_are_none(tmp_path: Path) -> None:
    """All different, and the same every time."""
    found = titles(tmp_path / "nowhere", 50)

    assert len(set(found)) == 50
    assert found == titles(tmp_path / "nowhere", 50)
