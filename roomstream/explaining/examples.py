"""Answers that a release changed. No manifest holds texts of listings: they are looked for when asked."""

from typing import Literal

import msgspec

Turn = Literal["became wrong", "became right", "changed"]
Origin = Literal["held out", "learned", "made up"]


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """
    A listing that is answered otherwise than before.

    Attributes:
        text: Its text on one line, without control characters, cut short if it is long.
        before: The parent's answer …
        confidence_before: … and its confidence, in [0, 1].
        now: The release's answer …
        confidence: … and its confidence.
        truth: What it is.
        turn: What that means; `changed` where both answers are wrong.
        origin: Where it is from.
    """

    text: str
    before: str
    confidence_before: float
    now: str
    confidence: float
    truth: str
    turn: Turn
    origin: Origin


class Examples(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a search found.

    Attributes:
        source: Which listings both releases were asked about, in words.
        answered: How many they answered.
        turns: How many answers changed, by what that means.
        shown: Some of them: every kind of change in turn, the most confident first.
        fault: Why there are none, where something stood in the way.
    """

    source: str
    answered: int = 0
    turns: dict[Turn, int] = {}
    shown: list[Example] = []
    fault: str | None = None
