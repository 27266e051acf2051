"""Pictures of an explanation as inline SVG. Their colours come from the page's style sheet."""

import math
from collections.abc import Sequence
from xml.etree.ElementTree import Element

from artefacts.manifest import FineTuning, Losses
from roomstream.explaining.elements import Child, element
from roomstream.explaining.explanation import Change, ClassChange
from roomstream.explaining.words import count, percent

WIDTH = 420.0
"""Of all pictures: a phone shows them without making letters smaller."""
MOST = 20
"""Rows of a picture; tables have all."""

_ROW = 40.0
_LEFT, _RIGHT = 8.0, WIDTH - 8.0
_LETTERS = 34


def labels_learned(classes: Sequence[ClassChange]) -> Element:
    """Bars: what the parent had learned of each class, and what came since."""
    rows = sorted(classes, key=lambda each: -(each.labels.now or 0))[:MOST]
    most = max([1.0, *(each.labels.now or 0 for each in rows)])
    drawn: list[Element] = []
    for place, each in enumerate(rows):
        now, before = each.labels.now or 0, each.labels.before or 0
        y, scale = place * _ROW, (_RIGHT - _LEFT) / most
        old = min(now, before)
        added = f" (+{count(now - before)})" if each.labels.before is not None else ""
        drawn += [
            *_row(y, each.name, f"{count(now)}{added}"),
            _bar("old", _LEFT, y + 24, old * scale),
            _bar("new", _LEFT + old * scale, y + 24, (now - old) * scale),
        ]
    says = "; ".join(
        f"{each.name}: {count(each.labels.before)} before, {count(each.labels.now)} now"
        for each in rows
    )
    return _picture("labels", "Labels learned by class", says, len(rows) * _ROW, drawn)


def shares(key: str, title: str, changes: Sequence[tuple[str, Change]]) -> Element:
    """
    A ring for the parent's share, a dot for the release's, and what is between them.

    Args:
        key: Of the picture on its page.
        title: What it shows.
        changes: A name and its shares, a row each; those that changed most are drawn.
    """
    chosen = sorted(changes, key=lambda each: -abs(each[1].difference or 0))[:MOST]
    rows = [each for each in changes if each in chosen]
    known = [
        share for _, change in rows for share in (change.before, change.now) if share is not None
    ]
    low = min(0.9, math.floor(10 * min(known)) / 10)
    drawn: list[Element] = []
    for place, (name, change) in enumerate(rows):
        y = place * _ROW
        drawn += _row(y, name, f"{percent(change.before)} → {percent(change.now)}")
        drawn += _dumbbell(y + 28, change, low)
    foot = len(rows) * _ROW + 16
    drawn += [
        element("text", f"{low:.0%}", x=_LEFT, y=foot, class_="axis"),
        element("text", "100%", x=_RIGHT, y=foot, class_="axis end"),
    ]
    says = "; ".join(
        f"{name}: {percent(change.before)} before, {percent(change.now)} now"
        for name, change in rows
    )
    return _picture(key, title, says, foot + 6, drawn)


def loss_curves(tuned: FineTuning) -> Element:
    """Training and validation loss by step; a line marks the weights that are kept."""
    top, bottom, left, right = 12.0, 170.0, 44.0, WIDTH - 12
    values = [loss for each in tuned.curve for loss in (each.training, each.validation)]
    low, high = min(values), max(values)
    first, last = tuned.curve[0].step, tuned.curve[-1].step

    def x(step: int) -> float:
        return left + (right - left) * (step - first) / max(1, last - first)

    def y(loss: float) -> float:
        return bottom - (bottom - top) * (loss - low) / ((high - low) or 1.0)

    def line(figure: str) -> Element:
        places = " ".join(
            f"{x(each.step):.1f},{y(_loss(each, figure)):.1f}" for each in tuned.curve
        )
        return element("polyline", points=places, class_=f"curve {figure}")

    kept = x(tuned.best_step)
    drawn = [
        element("line", x1=kept, x2=kept, y1=top, y2=bottom, class_="kept"),
        line("training"),
        line("validation"),
        element("text", f"{high:.2f}", x=left - 6, y=top + 10, class_="axis end"),
        element("text", f"{low:.2f}", x=left - 6, y=bottom, class_="axis end"),
        element("text", f"step {first:,}", x=left, y=bottom + 20, class_="axis"),
        element("text", f"step {last:,}", x=right, y=bottom + 20, class_="axis end"),
    ]
    says = "; ".join(
        f"step {each.step:,}: {each.training:.3f} in training, {each.validation:.3f} in validation"
        for each in tuned.curve
    )
    return _picture("losses", "Log loss while the encoder was fine-tuned", says, bottom + 28, drawn)


def _loss(each: Losses, figure: str) -> float:
    return each.training if figure == "training" else each.validation


def _picture(key: str, title: str, says: str, height: float, drawn: Sequence[Child]) -> Element:
    return element(
        "svg",
        element("title", title, id=f"{key}-title"),
        element("desc", f"{says}.", id=f"{key}-desc"),
        *drawn,
        role="img",
        aria_labelledby=f"{key}-title {key}-desc",
        viewBox=f"0 0 {WIDTH:.0f} {height:.0f}",
    )


def _row(y: float, name: str, value: str) -> list[Element]:
    """The line above a bar."""
    short = name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…"
    return [
        element("text", short, x=_LEFT, y=y + 16),
        element("text", value, x=_RIGHT, y=y + 16, class_="value end"),
    ]


def _bar(kind: str, x: float, y: float, width: float) -> Element:
    return element("rect", x=x, y=y, width=width, height=8, class_=kind)


def _dumbbell(y: float, change: Change, low: float) -> list[Element]:
    def x(share: float) -> float:
        return _LEFT + 6 + (_RIGHT - _LEFT - 12) * (share - low) / (1 - low)

    drawn = [element("line", x1=_LEFT, x2=_RIGHT, y1=y, y2=y, class_="scale")]
    if change.before is not None and change.now is not None:
        turn = "better" if change.now >= change.before else "worse"
        ends = {"x1": x(change.before), "x2": x(change.now)}
        drawn.append(element("line", **ends, y1=y, y2=y, class_=turn))
    if change.before is not None:
        drawn.append(element("circle", cx=x(change.before), cy=y, r=5, class_="before"))
    if change.now is not None:
        drawn.append(element("circle", cx=x(change.now), cy=y, r=5, class_="now"))
    return drawn
