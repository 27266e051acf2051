"""An explanation on a terminal."""

from rich.markup import escape

from artefacts.manifest import Losses
from roomstream.commands.output import out, plain, print_table
from roomstream.explaining import tables, words
from roomstream.explaining.examples import Example
from roomstream.explaining.explanation import Explanation
from roomstream.explaining.tables import Table

_BARS = "▁▂▃▄▅▆▇█"


def print_explanation(explanation: Explanation) -> None:
    """Print what a release changed: sentences first, then the figures behind them."""
    _title("What changed")
    for sentence in words.sentences(explanation):
        out.print(f"• {escape(plain(sentence))}")
    for table in (
        tables.measures(explanation),
        tables.classes(explanation),
        tables.domains(explanation),
        tables.gates(explanation),
        _losses(explanation),
        _examples(explanation),
    ):
        if table.rows:
            _title(table.title)
            print_table(table.columns, table.rows)


def _title(text: str) -> None:
    out.print(f"\n[bold underline]{text}[/]")


def _losses(explanation: Explanation) -> Table:
    """Both curves, a row each."""
    tuned = explanation.fine_tuning
    if tuned is None or not tuned.curve:
        return Table("Fine-tuning", (), [])
    training = [each.training for each in tuned.curve]
    validation = [each.validation for each in tuned.curve]
    kept = tuned.curve.index(_kept(tuned.curve, tuned.best_step))
    return Table(
        "Fine-tuning",
        ("loss", "first", f"step {tuned.best_step:,} (kept)", "last", "on the way"),
        [
            (name, f"{row[0]:.3f}", f"{row[kept]:.3f}", f"{row[-1]:.3f}", sparkline(row))
            for name, row in (("training", training), ("validation", validation))
        ],
    )


def _kept(curve: list[Losses], best_step: int) -> Losses:
    return min(curve, key=lambda each: abs(each.step - best_step))


def sparkline(values: list[float]) -> str:
    """A curve in one line: the lowest block is the least value, the highest the largest."""
    low, high = min(values), max(values)
    steps = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BARS[round((value - low) * steps)] for value in values)


def _examples(explanation: Explanation) -> Table:
    shown = explanation.examples.shown if explanation.examples else []
    return Table(
        "Answers that changed",
        ("", "listing"),
        [(each.turn, f"{each.text}\n{_answer(each)}") for each in shown],
    )


def _answer(example: Example) -> str:
    return (
        f"{example.before} {example.confidence_before:.0%} → {example.now} {example.confidence:.0%}; "
        f"it is {example.truth} ({words.learned_as(example)})"
    )
