"""The table of topics: what travels where, under which key, and how long it is kept."""

from dataclasses import dataclass
from enum import StrEnum

from schemas.events import (
    MAX_PAYLOAD_BYTES,
    Classification,
    Deletion,
    Event,
    Feedback,
    FineTuneRequest,
    LabelledEvent,
    ListingEvent,
    ReleaseAnnouncement,
    ReviewRequest,
    TrainerClaim,
)

DAY_MS = 24 * 60 * 60 * 1000
FOREVER_MS = -1


class Topic(StrEnum):
    """The topics by their role; a deployment may put one prefix before all of them."""

    LISTINGS = "listings"
    CLASSIFIED = "classified"
    SHADOW = "classified.shadow"
    REVIEW = "review"
    LABELLED = "labelled"
    DELETIONS = "deletions"
    RELEASES = "releases"
    DEAD = "dead"

    def named(self, prefix: str) -> str:
        """The topic's name on the broker."""
        return prefix + self.value


@dataclass(frozen=True)
class TopicSpec:
    """
    What a topic holds and how the broker keeps it.

    Attributes:
        topic: Its role.
        events: What its messages may be. A message without a `schema` header is the first of them;
            empty for dead letters, whose bytes are whatever came in.
        key: What the message key is.
        made_by: Who writes to it.
        doc: What it is for.
        compacted: Only the last message of a key is kept.
        retention_ms: How long messages are kept, in milliseconds; -1 for ever.
        partitions: How many partitions, or None for as many as the deployment chooses.
        max_payload_bytes: The longest value that readers accept.
    """

    topic: Topic
    events: tuple[type[Event], ...]
    key: str
    made_by: str
    doc: str
    compacted: bool = False
    retention_ms: int = 7 * DAY_MS
    partitions: int | None = None
    max_payload_bytes: int = MAX_PAYLOAD_BYTES


TOPICS = (
    TopicSpec(
        Topic.LISTINGS,
        (ListingEvent,),
        key="listing id",
        made_by="upstream systems",
        doc="Listings to classify. A null value (tombstone) says that the listing is gone: "
        "workers pass over it and count it.",
    ),
    TopicSpec(
        Topic.CLASSIFIED,
        (Classification,),
        key="listing id",
        made_by="workers",
        doc="One answer per listing event. Kept for longer than `listings`, so that the audit finds the "
        "answer to every listing that is there.",
        retention_ms=9 * DAY_MS,  # what is left of a segment of listings is a day over their 7
    ),
    TopicSpec(
        Topic.SHADOW,
        (Classification,),
        key="listing id",
        made_by="workers",
        doc="What a release on channel shadow says of its share of the listings, to be looked at "
        "beside `classified`. Nobody acts on it, and the audit does not count it.",
    ),
    TopicSpec(
        Topic.REVIEW,
        (ReviewRequest,),
        key="listing id",
        made_by="workers",
        doc="Listings that a person should label: doubtful ones, and a random share.",
        max_payload_bytes=2 * MAX_PAYLOAD_BYTES,  # a listing event of any size, and the scores
    ),
    TopicSpec(
        Topic.LABELLED,
        (LabelledEvent, Feedback),
        key="listing id",
        made_by="people, rules and imports",
        doc="Labels to learn from. Kept for ever: they are the ground truth.",
        retention_ms=FOREVER_MS,
    ),
    TopicSpec(
        Topic.DELETIONS,
        (Deletion,),
        key="listing id",
        made_by="upstream systems",
        doc="Listings that must be forgotten. Kept for ever, as `labelled` is: a trainer that reads all "
        "labels again has to know them.",
        retention_ms=FOREVER_MS,
    ),
    TopicSpec(
        Topic.RELEASES,
        (ReleaseAnnouncement, TrainerClaim, FineTuneRequest),
        key="channel; of claims 'trainer', of requests to fine-tune 'fine-tune'",
        made_by="the trainer and operators",
        doc="Which release is live, which trainer may say so, and when an operator last asked it to "
        "fine-tune. Read from its start by every worker.",
        compacted=True,
        retention_ms=FOREVER_MS,
        partitions=1,
    ),
    TopicSpec(
        Topic.DEAD,
        (),
        key="as the input",
        made_by="workers, the trainer, and operators who replay",
        doc="Messages that could not be handled: the original bytes, untouched, with headers that "
        "say where they came from and what is wrong. A message without a value and with the header "
        "dead-replayed is a marker: the letter at that offset of this partition was sent back. Read "
        "it with isolation.level=read_committed.",
        retention_ms=30 * DAY_MS,
    ),
)
