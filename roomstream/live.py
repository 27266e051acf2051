"""Which release is live, and changing it."""

from contextlib import closing
from datetime import UTC, datetime
from typing import Final

from artefacts.store import Store
from runtime.announcements import Announcements, announce
from runtime.permissions import Access, permitted, reading
from runtime.settings import KafkaSettings, SharedSettings
from schemas.events import ReleaseAnnouncement
from schemas.topics import Topic

LIVE: Final = "live"


def live_announcement(kafka: KafkaSettings, shared: SharedSettings) -> ReleaseAnnouncement | None:
    """
    The announcement of the live release, if there was one.

    Raises:
        ConfigurationError: The topics are missing.
        TryAgain: The broker cannot be reached.
    """
    prefix = shared.topic_prefix
    with (
        permitted(kafka, prefix, reading(Topic.RELEASES)),
        closing(Announcements(kafka, prefix)) as announcements,
    ):
        return announcements.read_all(timeout_seconds=30).get(LIVE)


def make_live(
    kafka: KafkaSettings, shared: SharedSettings, release: str, why: str, pinned: bool = False
) -> ReleaseAnnouncement:
    """
    Announce a release of the store as live.

    Raises:
        ReleaseError: The store has no such release, or its manifest is not valid.
        StoreError: The store is out of reach.
        TryAgain: The brokers do not hold the announcement.
    """
    store = Store(shared.store)
    announcement = ReleaseAnnouncement(
        channel=LIVE,
        release=release,
        manifest_digest=store.manifest_digest(release),
        store=shared.store,
        pinned=pinned,
        why=why,
        announced_at=datetime.now(UTC),
    )
    access = Access("this command", {Topic.RELEASES: ("Write",)})
    with permitted(kafka, shared.topic_prefix, access):
        announce(kafka, shared.topic_prefix, announcement)
    store.point(LIVE, release)
    return announcement
