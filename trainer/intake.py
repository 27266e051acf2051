"""What a message of `labelled` or `deletions` means to the trainer. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime

from runtime.dead_letters import dead_letter
from runtime.records import Outbound, Record
from schemas.codec import Rejected, decode, listing_text
from schemas.events import Deletion, Feedback, LabelledEvent
from schemas.topics import Topic


@dataclass(frozen=True)
class Label:
    """
    A listing and what kind of room it is.

    Attributes:
        propensity: With which chance it was chosen; None where nobody said.
        domain: Where it came from, or else its language; empty where neither is known.
        annotator: Who gave the label; empty where nobody said.
        checked: Whether somebody looked at it once more.
    """

    record: Record
    event_id: str
    listing_id: str
    text: str
    label: str
    origin: str
    labelled_at: datetime
    propensity: float | None
    domain: str = ""
    annotator: str = ""
    checked: bool = False


@dataclass(frozen=True)
class Objection:
    """A person says that a listing is not of this label."""

    record: Record
    listing_id: str
    label: str


@dataclass(frozen=True)
class Forget:
    """A listing must be forgotten."""

    record: Record
    listing_id: str
    deleted_at: datetime

    def covers(self, label: Label) -> bool:
        """Whether a label is of this listing, and from before it was deleted."""
        return self.listing_id == label.listing_id and self.deleted_at >= label.labelled_at


@dataclass(frozen=True)
class Dead:
    """A message that cannot be handled, as its dead letter."""

    record: Record
    stage: str
    letter: Outbound


@dataclass(frozen=True)
class Skip:
    """A message without a value."""

    record: Record


Notice = Label | Objection | Forget | Dead | Skip


def read(record: Record, prefix: str) -> Notice:
    """Say what a message means; never raises, whatever its bytes."""
    if record.value is None:
        return Skip(record)
    topic = Topic(record.topic.removeprefix(prefix))
    event = decode(topic, record.value, record.headers)
    if isinstance(event, Rejected):
        return dead(record, prefix, "decode", event.error, f"{event.where}: {event.message}")
    if isinstance(event, Deletion):
        return Forget(record, event.listing_id, event.deleted_at)
    if isinstance(event, Feedback) and not event.accepted:
        return Objection(record, event.listing_id, event.label)
    if isinstance(event, LabelledEvent):
        label = _label(record, event, event.origin)
        return replace(label, annotator=event.annotator or "", checked=event.checked)
    if isinstance(event, Feedback):
        return _label(record, event, "person")
    raise TypeError(f"This is a bug: {type(event).__name__} on {record.topic}.")


def _label(record: Record, event: LabelledEvent | Feedback, origin: str) -> Label:
    return Label(
        record,
        event.event_id,
        event.listing_id,
        listing_text(event.title, event.description),
        event.label,
        origin,
        event.labelled_at,
        event.propensity,
        event.source or event.language or "",
    )


def dead(record: Record, prefix: str, stage: str, error: str, message: str) -> Dead:
    """Give up on a message, and say why."""
    letter = dead_letter(
        Topic.DEAD.named(prefix), record, stage=stage, error=error, message=message
    )
    return Dead(record, stage, letter)
