"""The figures as a page with pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.pictures import file_name, save
from bench.speed.parts import Aim, Measured, Part, spread, table

_INTRODUCTION = """# How fast it is

Written by `make bench ARGS="--docs docs"`; do not edit. Ways are measured side by side: every round runs
each of them once, and a ratio is the median over the rounds of the ratio of two ways in the same round,
with the least and the most. Compare ratios: seconds are those of one machine on one day. Every process
has one core's worth of threads. Models have random weights, which are as fast as trained ones.
"""


class Report(msgspec.Struct, frozen=True):
    """
    A run as JSON.

    Attributes:
        about: What it was measured on, and with.
        aims: The figures to reach.
        figures: All that was measured, by part.
    """

    about: dict[str, str | int | float]
    aims: list[Aim]
    figures: dict[str, list[Any]]


def report(about: dict[str, str | int | float], found: Mapping[str, Sequence[Measured]]) -> Report:
    """Sum up what the parts found."""
    aims = [aim for measured in found.values() for each in measured for aim in each.aims()]
    return Report(about, aims, {name: list(measured) for name, measured in found.items()})


def page(
    about: Mapping[str, object], parts: Sequence[Part], found: Mapping[str, Sequence[Measured]]
) -> str:
    """Write the page."""
    aims = [aim for each in found.values() for measured in each for aim in measured.aims()]
    sections = [_INTRODUCTION, _aims(aims), ""]
    for part in parts:
        if part.name in found:
            sections += [f"## {part.name.capitalize()}: `make bench ARGS={part.name}`", ""]
            sections += [part.about]
            sections += [_shown(part, measured) for measured in found[part.name]]
    measured_on = ", ".join(f"{key} {value}" for key, value in about.items())
    return "\n".join([*sections, f"Measured on: {measured_on}.", ""])


def pictures(found: Mapping[str, Sequence[Measured]], folder: Path) -> None:
    """Draw an SVG for each table; the same figures give the same bytes."""
    for name, measured in found.items():
        for each in measured:
            save(each.figure(), folder / _picture(name, each))


def _aims(aims: Sequence[Aim]) -> str:
    rows = [
        (
            aim.what,
            f"{'at least' if aim.better == 'more' else 'at most'} {aim.aim:g} {aim.unit}".strip(),
            f"{spread(aim.found)} {aim.unit}".strip(),
            "yes" if aim.reached else "**no**",
        )
        for aim in aims
    ]
    return table(("what", "aim", "here", "reached"), rows)


def _shown(part: Part, measured: Measured) -> str:
    picture = f"performance/{_picture(part.name, measured)}"
    return f"{measured.table()}\n\n![{part.name}: {measured.title}]({picture})\n"


def _picture(name: str, measured: Measured) -> str:
    return file_name(f"{name} {measured.title}")
