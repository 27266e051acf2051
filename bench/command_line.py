"""What the command lines of benchmarks have in common that write a page of docs/."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from rich.console import Console

from schemas.errors import ConfigurationError, RoomstreamError

Figures = TypeVar("Figures")


def parser_of(name: str, about: str | None) -> argparse.ArgumentParser:
    """A command line: `name` is what one types, `about` the docstring of its module."""
    return argparse.ArgumentParser(
        prog=name, description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def parsed(parser: argparse.ArgumentParser, decide: Sequence[str]) -> argparse.Namespace:
    """
    Read the command line; the standard run writes to docs/ by itself.

    Args:
        parser: It has the option `--docs`.
        decide: Arguments that decide what a run finds: one that has all their defaults is standard.
    """
    given = parser.parse_args()
    if all(getattr(given, name) == parser.get_default(name) for name in decide):
        given.docs = given.docs or Path("docs")
    return given


def earlier(figures: Path, kind: type[Figures]) -> Figures:
    """
    Read the figures of an earlier run.

    Raises:
        ConfigurationError: They are not there, or of another version.
    """
    try:
        return msgspec.json.decode(figures.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigurationError(
            f"{figures} cannot be read: {error}. Measure first, without --measure-nothing."
        ) from error


def run(measure: Callable[[argparse.Namespace], None], given: argparse.Namespace) -> None:
    """Measure; what goes wrong is said in a line, and the process ends with its exit code."""
    try:
        measure(given)
    except RoomstreamError as error:
        Console(stderr=True, soft_wrap=True).print(str(error), markup=False, highlight=False)
        sys.exit(error.exit_code)
