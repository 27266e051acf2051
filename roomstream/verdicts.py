"""What an operator says of a label that the trainer holds back, as events on `labelled`."""

import hashlib
from datetime import datetime

from schemas.events import Feedback, LabelledEvent
from trainer.intake import Label


def accepted(label: Label, at: datetime) -> LabelledEvent:
    """Say the same once more, and that it was checked: the trainer then learns both."""
    title, description = _parts(label.text)
    return LabelledEvent(
        event_id=_event_id("accepted", label),
        listing_id=label.listing_id,
        title=title,
        description=description,
        label=label.label,
        labelled_at=at,
        origin="person",
        checked=True,
        source=label.domain or None,
    )


def rejected(label: Label, at: datetime) -> Feedback:
    """Say that the label is wrong: the trainer then forgets it."""
    title, description = _parts(label.text)
    return Feedback(
        event_id=_event_id("rejected", label),
        listing_id=label.listing_id,
        title=title,
        description=description,
        label=label.label,
        accepted=False,
        labelled_at=at,
        source=label.domain or None,
    )


def _event_id(verdict: str, label: Label) -> str:
    """The same for the same verdict, so that one that is sent twice counts once."""
    return f"{verdict}-{hashlib.sha256(label.event_id.encode()).hexdigest()[:32]}"


def _parts(text: str) -> tuple[str, str | None]:
    """A title and a description that make this text (`schemas.codec.listing_text`)."""
    title, _, description = text.partition("\n")
    return (title, description or None) if title.strip() else (text, None)
