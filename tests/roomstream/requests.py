"""Requests for review, labels and deletions, at hours of a day."""

from datetime import UTC, datetime, timedelta
from typing import Literal

from schemas.events import (
    Deletion,
    Feedback,
    InputPosition,
    LabelledEvent,
    ListingEvent,
    ReviewRequest,
)

LABELS = ("Entire home/apt", "Private room", "Shared room")
DAY = datetime(2026, 11, 27, tzinfo=UTC)


def hour(number: float) -> datetime:
    """A time of the day."""
    return DAY + timedelta(hours=number)


def request(
    listing: str = "l-1",
    published: float = 1,
    asked: float = 2,
    best: float = 0.5,
    title: str = "Habitación privada con balcón",
    reason: Literal["uncertain", "random"] = "uncertain",
    description: str | None = None,
) -> ReviewRequest:
    """The best score goes to the second class, the others share the rest."""
    event = ListingEvent(
        event_id=f"e-{listing}-{published}",
        listing_id=listing,
        title=title,
        description=description,
        language="es",
        occurred_at=hour(published),
        source="madrid",
    )
    return ReviewRequest(
        event=event,
        label=LABELS[1],
        scores={LABELS[0]: (1 - best) / 2, LABELS[1]: best, LABELS[2]: (1 - best) / 2},
        reason=reason,
        propensity=0.25,
        release="r-1",
        input=InputPosition(topic="listings", partition=0, offset=int(asked * 100)),
        requested_at=hour(asked),
    )


def label(listing: str, at: float, title: str = "other words") -> LabelledEvent:
    """Somebody labelled a listing."""
    return LabelledEvent(
        event_id=f"label-{listing}-{at}",
        listing_id=listing,
        title=title,
        label=LABELS[0],
        labelled_at=hour(at),
        origin="import",
    )


def feedback(listing: str, at: float, accepted: bool) -> Feedback:
    """Somebody judged what was shown."""
    return Feedback(
        event_id=f"feedback-{listing}-{at}",
        listing_id=listing,
        title="other words",
        label=LABELS[0],
        accepted=accepted,
        labelled_at=hour(at),
    )


def deletion(listing: str, at: float) -> Deletion:
    """A listing was deleted."""
    return Deletion(event_id=f"deletion-{listing}-{at}", listing_id=listing, deleted_at=hour(at))
