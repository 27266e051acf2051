"""Valid payloads by topic, to be made wrong in one place."""

import json
from typing import Any

from schemas.codec import Rejected, decode
from schemas.events import Event
from schemas.topics import Topic

TIME = "2026-11-24T09:00:00Z"
LISTING = {"event_id": "e-1", "listing_id": "l-7", "title": "Ático", "occurred_at": TIME}
LABELLED = {
    "event_id": "e-2",
    "listing_id": "l-7",
    "title": "Ático",
    "label": "Private room",
    "labelled_at": TIME,
    "origin": "person",
}
CLASSIFIED = {
    "event_id": "e-1",
    "listing_id": "l-7",
    "label": "Private room",
    "scores": {"Private room": 1},
    "confidence": 1,
    "needs_review": False,
    "release": "r-1",
    "input": {"topic": "listings", "partition": 0, "offset": 4},
    "classified_at": TIME,
}
ANNOUNCED = {
    "channel": "live",
    "release": "r-1",
    "manifest_digest": "0" * 64,
    "store": "file:///store",
    "why": "",
    "announced_at": TIME,
}
VALID: dict[Topic, dict[str, Any]] = {
    Topic.LISTINGS: LISTING,
    Topic.LABELLED: LABELLED,
    Topic.CLASSIFIED: CLASSIFIED,
    Topic.REVIEW: {
        "event": LISTING,
        "label": "Private room",
        "scores": {},
        "reason": "random",
        "propensity": 0.5,
        "release": "r-1",
        "input": {"topic": "listings", "partition": 0, "offset": 4},
        "requested_at": TIME,
    },
    Topic.RELEASES: ANNOUNCED,
}


def payload(topic: Topic = Topic.LISTINGS, **changes: Any) -> bytes:
    return json.dumps(VALID[topic] | changes, ensure_ascii=False).encode()


def listing(**changes: Any) -> Event | Rejected:
    return decode(Topic.LISTINGS, payload(**changes))


def fault(found: Event | Rejected) -> tuple[str, str]:
    assert isinstance(found, Rejected), found
    assert found.message.endswith(".")
    return found.error, found.where
