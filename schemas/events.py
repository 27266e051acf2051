"""
Every message that travels on a topic of roomstream.

Values are JSON. Unknown fields are ignored, so that a producer may be newer than its reader; a
change that an old reader could misread gets a new version in the `schema` header (see
`schemas.codec`). Times are RFC 3339 with an offset, written in UTC.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

MAX_PAYLOAD_BYTES = 64 * 1024
MAX_TITLE_CHARACTERS = 2_000
MAX_DESCRIPTION_CHARACTERS = 20_000

Identifier = Annotated[
    str, Meta(min_length=1, max_length=200, description="An opaque name of 1 to 200 characters.")
]
EventId = Annotated[
    str,
    Meta(min_length=1, max_length=200, description="Unique to this event; chosen by its producer."),
]
ListingId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        description="The listing; also the key of the message, so that its events stay in order.",
    ),
]
Title = Annotated[
    str,
    Meta(
        max_length=MAX_TITLE_CHARACTERS,
        description="The listing's title in any language; at least one character is not blank.",
    ),
]
Description = Annotated[
    str,
    Meta(max_length=MAX_DESCRIPTION_CHARACTERS, description="The listing's text in any language."),
]
Label = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        pattern=r"\S",
        description="A class of room, such as 'Private room'.",
    ),
]
Language = Annotated[
    str, Meta(max_length=35, description="BCP 47 tag such as 'es' or 'en-GB', if known.")
]
Source = Annotated[str, Meta(max_length=200, description="Where it came from, such as a city.")]
Probability = Annotated[float, Meta(ge=0, le=1)]
Scores = Annotated[
    dict[str, Probability],
    Meta(description="The probability of every label of the release; they sum to 1."),
]
Timestamp = Annotated[datetime, Meta(tz=True)]
Epoch = Annotated[
    int,
    Meta(
        ge=1,
        le=9_999_999_999,
        description="Grows with every trainer that takes the lead; what a lower one announces is stale.",
    ),
]
Propensity = Annotated[
    float,
    Meta(
        gt=0,
        le=1,
        description="The probability with which this listing was chosen, for unbiased estimates.",
    ),
]
ReleaseId = Annotated[
    str, Meta(min_length=1, max_length=100, description="The release that gave the answer.")
]


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """The base of every message: immutable, keyword-only, unknown fields ignored."""


class ListingEvent(Event, frozen=True, kw_only=True):
    """A listing was published or changed upstream."""

    event_id: EventId
    listing_id: ListingId
    title: Title
    description: Description | None = None
    language: Language | None = None
    occurred_at: Annotated[Timestamp, Meta(description="When it happened upstream.")]
    source: Source | None = None


class InputPosition(Event, frozen=True, kw_only=True):
    """Where an input stands in its topic: the deterministic identity of its result."""

    topic: Annotated[str, Meta(min_length=1, max_length=249)]
    partition: Annotated[int, Meta(ge=0)]
    offset: Annotated[int, Meta(ge=0)]


class Classification(Event, frozen=True, kw_only=True):
    """
    The answer to one listing event.

    After a crash an answer may be written again. `input` is the same in every repeat: a reader that
    remembers it drops them.
    """

    event_id: EventId
    listing_id: ListingId
    label: Label
    scores: Scores
    confidence: Annotated[Probability, Meta(description="The score of `label`.")]
    needs_review: Annotated[
        bool, Meta(description="The confidence is under the release's review threshold.")
    ]
    release: ReleaseId
    input: InputPosition
    classified_at: Annotated[Timestamp, Meta(description="When the worker answered.")]
    propensity: (
        Annotated[
            float,
            Meta(
                gt=0,
                le=1,
                description="The chance with which this label was shown; absent: 1. Another label than "
                "the best is shown now and then where workers explore (WORKER_EXPLORE). What another "
                "rule of showing labels would earn is then estimated without bias: the mean of reward "
                "/ propensity over all answers, where an answer whose label that rule would not have "
                "shown counts 0 (inverse propensity, Horvitz & Thompson 1952).",
            ),
        ]
        | None
    ) = None


class ReviewRequest(Event, frozen=True, kw_only=True):
    """A listing that a person should look at, and why it was chosen."""

    event: ListingEvent
    label: Annotated[Label, Meta(description="What the release says.")]
    scores: Scores
    reason: Annotated[
        Literal["uncertain", "random"],
        Meta(description="Low confidence, or drawn at random to keep an unbiased sample."),
    ]
    propensity: Propensity
    release: ReleaseId
    input: InputPosition
    requested_at: Annotated[Timestamp, Meta(description="When the worker asked.")]


class LabelledEvent(Event, frozen=True, kw_only=True):
    """Somebody or something says what kind of room a listing is."""

    event_id: EventId
    listing_id: ListingId
    title: Title
    description: Description | None = None
    label: Label
    labelled_at: Annotated[Timestamp, Meta(description="When the label was given.")]
    origin: Annotated[
        Literal["person", "rule", "import"], Meta(description="Who or what gave the label.")
    ]
    propensity: Propensity | None = None
    annotator: (
        Annotated[
            str,
            Meta(
                max_length=100,
                description="Which person or rule it was, as a name that your team may see in metrics.",
            ),
        ]
        | None
    ) = None
    checked: Annotated[
        bool,
        Meta(
            description="Somebody looked at this label once more: it counts, whatever the model thinks."
        ),
    ] = False
    language: Language | None = None
    source: Source | None = None


class Feedback(Event, frozen=True, kw_only=True):
    """A person accepts or rejects a label that was shown to them."""

    event_id: EventId
    listing_id: ListingId
    title: Title
    description: Description | None = None
    label: Annotated[Label, Meta(description="The label that was shown.")]
    accepted: Annotated[bool, Meta(description="true: the label is right; false: it is wrong.")]
    labelled_at: Annotated[Timestamp, Meta(description="When the person said so.")]
    propensity: (
        Annotated[
            float,
            Meta(
                gt=0,
                le=1,
                description="The chance with which this label was shown: 'propensity' of the answer. "
                "What is accepted though it is seldom shown counts as up to 3 labels; absent: as one.",
            ),
        ]
        | None
    ) = None
    language: Language | None = None
    source: Source | None = None


class Deletion(Event, frozen=True, kw_only=True):
    """
    A listing must be forgotten: it leaves all that the trainer keeps, and what it has learned.

    Labels that were given before are never learned, whenever they are read. Those that are given later,
    of a listing that was published once more, count.
    """

    event_id: EventId
    listing_id: ListingId
    deleted_at: Annotated[
        Timestamp, Meta(description="When it was deleted upstream. Labels until then do not count.")
    ]


class ReleaseAnnouncement(Event, frozen=True, kw_only=True):
    """Which release serves on a channel from now on. The last one on the topic counts."""

    channel: Annotated[
        Literal["live", "shadow", "canary"],
        Meta(
            description="live: the release that answers. canary: one that answers a share of the "
            "listings in its place. shadow: one whose answers go to `classified.shadow`."
        ),
    ]
    release: ReleaseId
    manifest_digest: Annotated[
        str,
        Meta(
            max_length=64,  # `$` alone lets a line break follow
            pattern="^[0-9a-f]{64}$",
            description="SHA-256 of the manifest, in hexadecimal.",
        ),
    ]
    store: Annotated[str, Meta(description="Address of the store, such as file:///var/lib/x.")]
    share: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="The share of listings that the channel answers, by a hash of the listing id; 0 "
            "ends a shadow or a canary. The live release answers what is left.",
        ),
    ] = 1.0
    pinned: Annotated[
        bool,
        Meta(
            description="An operator chose it: the trainer announces nothing newer on this channel "
            "until it is unpinned."
        ),
    ] = False
    why: Annotated[str, Meta(max_length=1_000, description="The reason, in plain words.")]
    announced_at: Annotated[Timestamp, Meta(description="When it was announced.")]
    epoch: Annotated[
        Epoch | None,
        Meta(
            description="The epoch of the trainer that announced it; readers refuse one that is lower "
            "than any before it on the topic. None: an operator announced it, which always counts."
        ),
    ] = None


class FineTuneRequest(Event, frozen=True, kw_only=True):
    """An operator asks the trainer to fine-tune its encoder now. Each request is taken up once."""

    request_id: Annotated[Identifier, Meta(description="Unique to this request.")]
    why: Annotated[str, Meta(max_length=500, description="The reason, in plain words.")]
    requested_at: Annotated[Timestamp, Meta(description="When it was asked for.")]


class TrainerClaim(Event, frozen=True, kw_only=True):
    """A trainer takes the lead. From here on no trainer with a lower epoch announces anything."""

    epoch: Annotated[Epoch, Meta(description="Higher than every epoch before it on the topic.")]
    trainer: Annotated[Identifier, Meta(description="Who it is: its host and process.")]
    claimed_at: Annotated[Timestamp, Meta(description="When it took the lead.")]
