"""An explanation as one page of HTML that needs nothing else: no script, no font, no network."""

from datetime import datetime
from pathlib import Path
from xml.etree.ElementTree import Element, tostring

from artefacts.store import write_atomically
from roomstream.explaining import pictures, tables, words
from roomstream.explaining.elements import element
from roomstream.explaining.examples import Example, Examples
from roomstream.explaining.explanation import Explanation
from roomstream.explaining.tables import Table
from schemas.errors import ConfigurationError

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Were markup ever to get into a page, a browser would still run and fetch nothing of it."""

_MARKED = ("passed", "failed", "better", "worse", "kept")
"""Cells that a colour stands out; they say the same without it."""

_KEY = "Dot: this release; ring: its parent."
_TURNS = {"became right": "right", "became wrong": "wrong", "changed": "detail"}


def page(explanation: Explanation, created_at: datetime) -> str:
    """
    Write the page.

    Args:
        explanation: What it says.
        created_at: When the release was made.
    """
    title = f"Release {explanation.release}"
    body = element(
        "main",
        element("h1", title),
        element("p", f"made {created_at:%Y-%m-%d %H:%M:%S %Z}", class_="meta"),
        element("h2", "What changed"),
        element("ul", *(element("li", each) for each in words.sentences(explanation))),
        *_section(tables.measures(explanation)),
        *_classes(explanation),
        *_domains(explanation),
        *_section(tables.gates(explanation), numbers=False),
        *_fine_tuning(explanation),
        *_examples(explanation.examples),
    )
    html = element("html", _head(title), element("body", body), lang="en")
    return f"<!DOCTYPE html>\n{tostring(html, encoding='unicode', method='html')}\n"


def write_page(path: Path, explanation: Explanation, created_at: datetime) -> None:
    """
    Write the page to a file.

    Raises:
        ConfigurationError: It cannot be written.
    """
    try:
        write_atomically(path, page(explanation, created_at).encode())
    except OSError as error:
        raise ConfigurationError(
            f"Cannot write {path}: {error}. Choose another file with --html."
        ) from error


def _head(title: str) -> Element:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Path(__file__).with_name("page.css").read_text(encoding="utf-8")),
    )


def _classes(explanation: Explanation) -> list[Element]:
    classes = explanation.classes
    since = " Grey: those of the parent; blue: those since." if explanation.compared else ""
    figures = [_figure(pictures.labels_learned(classes), f"Labels learned.{since}", len(classes))]
    recall = [(each.name, each.recall.share) for each in classes if each.recall.share.known]
    if recall:
        drawn = pictures.shares("recall", "Recall by class", recall)
        figures.append(_figure(drawn, f"Recall. {_KEY}", len(recall)))
    return _section(tables.classes(explanation), *figures)


def _domains(explanation: Explanation) -> list[Element]:
    shares = [(words.domain(each), each.share) for each in explanation.domains]
    if not shares:
        return []
    drawn = pictures.shares("domains", "Accuracy by source or language", shares)
    figure = _figure(drawn, f"Accuracy. {_KEY}", len(shares))
    return _section(tables.domains(explanation), figure)


def _fine_tuning(explanation: Explanation) -> list[Element]:
    tuned = explanation.fine_tuning
    if tuned is None or not tuned.curve:
        return []
    drawn = pictures.loss_curves(tuned)
    says = (
        "Log loss by step. Dashed: training; solid: validation; dotted: the weights that are kept."
    )
    return _section(tables.losses(explanation), _figure(drawn, says))


def _section(table: Table, *figures: Element, numbers: bool = True) -> list[Element]:
    if not table.rows:
        return []
    kind = "numbers" if numbers else "prose"
    made = element(
        "table",
        element("caption", table.title),
        element(
            "thead", element("tr", *(element("th", name, scope="col") for name in table.columns))
        ),
        element("tbody", *(_row(row) for row in table.rows)),
        class_=kind,
    )
    # A keyboard must reach what it has to scroll.
    scrolled = element(
        "div", made, class_="scroll", tabindex="0", role="region", aria_label=table.title
    )
    return [element("h2", table.title), *figures, scrolled]


def _row(row: tuple[str, ...]) -> Element:
    name, *cells = row
    return element("tr", element("th", name, scope="row"), *map(_cell, cells))


def _cell(text: str) -> Element:
    return element("td", text, class_=text) if text in _MARKED else element("td", text)


def _figure(picture: Element, says: str, rows: int = 0) -> Element:
    cut = f" The {pictures.MOST} of {rows} that stand out most." if rows > pictures.MOST else ""
    return element("figure", picture, element("figcaption", f"{says}{cut}"))


def _examples(examples: Examples | None) -> list[Element]:
    if examples is None or not examples.shown:
        return []
    listed = element("ol", *(_example(each) for each in examples.shown), class_="examples")
    return [element("h2", "Answers that changed"), listed]


def _example(example: Example) -> Element:
    now = element("strong", f"{example.now} {example.confidence:.0%}")
    return element(
        "li",
        element("p", example.text, lang="", dir="auto"),  # hosts write in any language
        element(
            "p",
            f"{example.before} {example.confidence_before:.0%} → ",
            now,
            " ",
            element("span", example.turn, class_=_TURNS[example.turn]),
            f". It is {example.truth} ({words.learned_as(example)}).",
            class_="detail",
        ),
    )
