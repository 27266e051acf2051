"""What a message of `labelled` or `deletions` means to the trainer. Pure."""

from dataclasses import dataclass
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
class Opinion:
    """
    What a person said of a label that was shown to them.

    It is biased towards what the model showed, so that it teaches, and never judges.

    Attributes:
        accepted: Whether the label is right.
        propensity: With which chance this label was shown; None where nobody said.
    """

    record: Record
    event_id: str
    listing_id: str
    text: str
    label: str
    accepted: bool
    labelled_at: datetime
    propensity: float | None


@dataclass(frozen=True)
class Forget:
    """A listing must be forgotten."""

    record: Record
    listing_id: str
    deleted_at: datetime

    def covers(self, said: Label | Opinion) -> bool:
        """Whether something was said of this listing before it was deleted."""
        return self.listing_id == said.listing_id and self.deleted_at >= said.labelled_at


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


Said = Label | Opinion
Notice = Said | Forget | Dead | Skip


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
    if isinstance(event, LabelledEvent):
        return _label(record, event)
    if isinstance(event, Feedback):
        return _opinion(record, event)
    raise TypeError(f"This is a bug: {type(event).__name__} on {record.topic}.")


def _label(record: Record, event: LabelledEvent) -> Label:
    return Label(
        record,
        event.event_id,
        event.listing_id,
        listing_text(event.title, event.description),
        event.label,
        event.origin,
        event.labelled_at,
        event.propensity,
        event.source or event.language or "",
        event.annotator or "",
        event.checked,
    )


def _opinion(record: Record, event: Feedback) -> Opinion:
    return Opinion(
        record,
        event.event_id,
        event.listing_id,
        listing_text(event.title, event.description),
        event.label,
        event.accepted,
        event.labelled_at,
        event.propensity,
    )


def dead(record: Record, prefix: str, stage: str, error: str, message: str) -> Dead:
    """Give up on a message, and say why."""
    letter = dead_letter(
        Topic.DEAD.named(prefix), record, stage=stage, error=error, message=message
    )
    return Dead(record, stage, letter)
