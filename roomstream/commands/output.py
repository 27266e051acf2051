"""What commands print: tables and JSON on standard output, notes on standard error."""

import contextlib
import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

T = TypeVar("T")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

out = Console(highlight=False)
notes = Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    out.print_json(json.dumps(value, ensure_ascii=False, default=str))


def tell(as_json: bool, facts: Any, text: str) -> None:
    """Print the facts as JSON for programs, or the same in words for people."""
    if as_json:
        print_json(facts)
    else:
        out.print(text, markup=False, soft_wrap=True)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under their columns; the first cell stays whole, long others are folded, never cut."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for column in table.columns:
        column.overflow = "fold"
    table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(*(escape(plain(str(cell))) for cell in row))
    out.print(table)


def plain(text: str) -> str:
    """A text without control characters: labels come from anybody, and a terminal obeys them."""
    return "".join(
        letter for letter in text if letter == "\n" or unicodedata.category(letter) != "Cc"
    )


def moment(time: datetime) -> str:
    """Write a time for people."""
    return time.strftime("%Y-%m-%d %H:%M:%S %Z")


@contextlib.contextmanager
def counting(what: str) -> Iterator[Callable[[Iterable[T]], Iterator[T]]]:
    """Show on standard error how many items have passed, while the block runs on a terminal."""
    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} {task.description}"))
    with Progress(*columns, TimeElapsedColumn(), console=notes, transient=True) as progress:
        task = progress.add_task(what, total=None)

        def counted(items: Iterable[T]) -> Iterator[T]:
            for item in items:
                yield item
                progress.advance(task)

        yield counted
