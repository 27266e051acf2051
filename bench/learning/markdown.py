"""Figures in Markdown."""

from collections.abc import Iterable, Sequence

from bench.learning.results import Spread


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def points(spread: Spread | None, signed: bool = False) -> str:
    """A share in percentage points, such as `84.8 ± 0.3`; nothing if it is not known."""
    return "" if spread is None else plain(spread, 100, "+.1f" if signed else ".1f")


def plain(spread: Spread, times: float = 1, form: str = ".1f") -> str:
    """A mean with its deviation, such as `52.0 ± 9.1`."""
    deviation = (
        "" if spread.deviation is None else f" ± {times * spread.deviation:{form.lstrip('+')}}"
    )
    return f"{times * spread.mean:{form}}{deviation}"
