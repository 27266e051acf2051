"""The figures of several runs as one page with pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from bench.pictures import file_name
from bench.speed.parts import Aim, Measured, Part, spread, table
from schemas.errors import ConfigurationError
from trainer.pictures import save

_INTRODUCTION = """# How fast it is

Written by `make bench ARGS="--docs docs"`; do not edit. Ways are measured side by side: every round runs
each of them once, and a ratio is the median over the rounds of the ratio of two ways in the same round,
with the least and the most. Compare ratios: seconds are those of one machine on one day. Every process
has one core's worth of threads. Models have random weights, which are as fast as trained ones.
"""

About = dict[str, str | int | float]


class Section(msgspec.Struct, frozen=True):
    """
    What a part of the benchmark found.

    Attributes:
        about: What it was measured on, and with.
        aims: The figures to reach.
        results: All that was measured.
    """

    about: About
    aims: list[Aim]
    results: list[Measured]

    @classmethod
    def of(cls, about: About, results: Sequence[Measured]) -> "Section":
        """Sum up what was measured now."""
        return cls(about, [aim for each in results for aim in each.aims()], list(results))


class _Stored(msgspec.Struct):
    results: list[object]
    about: About


def written(sections: Mapping[str, Section]) -> bytes:
    """The figures by the name of their part, as JSON."""
    return msgspec.json.format(msgspec.json.encode(sections)) + b"\n"


def read(figures: Path, parts: Mapping[str, Part]) -> dict[str, Section]:
    """
    Read what `written` wrote.

    Raises:
        ConfigurationError: It is not there, or of another version.
    """
    try:
        stored = msgspec.json.decode(figures.read_bytes(), type=dict[str, _Stored])
        return {
            name: Section.of(
                each.about,
                [
                    msgspec.convert(result, parts[name].kind, str_keys=True)
                    for result in each.results
                ],
            )
            for name, each in stored.items()
        }
    except (OSError, KeyError, msgspec.MsgspecError) as error:
        raise ConfigurationError(
            f"{figures} holds no figures of this benchmark: {error!r}. 'make bench ARGS=\"--docs "
            "docs\"' writes them; move away what an older version wrote."
        ) from error


def page(parts: Mapping[str, Part], sections: Mapping[str, Section]) -> str:
    """Write the page, parts in their order."""
    shown = [(part, sections[name]) for name, part in parts.items() if name in sections]
    lines = [_INTRODUCTION, _aims([aim for _, section in shown for aim in section.aims]), ""]
    for part, section in shown:
        measured_on = ", ".join(f"{key} {value}" for key, value in section.about.items())
        lines += [
            f"## {part.name.capitalize()}: `make bench ARGS={part.name}`",
            "",
            part.about,
            *(_shown(part, measured) for measured in section.results),
            f"Measured on: {measured_on}.",
            "",
        ]
    return "\n".join(lines)


def pictures(sections: Mapping[str, Section], folder: Path) -> None:
    """Draw an SVG for each table; the same figures give the same bytes."""
    for name, section in sections.items():
        for each in section.results:
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
