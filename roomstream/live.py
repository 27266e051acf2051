"""Which releases are live and on trial, and changing it."""

from contextlib import closing
from datetime import UTC, datetime
from typing import Final, Literal

from artefacts.store import Store
from runtime.announcements import Announcements, announce
from runtime.permissions import Access, permitted, reading
from runtime.settings import KafkaSettings, SharedSettings
from schemas.events import ReleaseAnnouncement
from schemas.topics import Topic

LIVE: Final = "live"

Channel = Literal["live", "shadow", "canary"]


def live_announcement(kafka: KafkaSettings, shared: SharedSettings) -> ReleaseAnnouncement | None:
    """
    The announcement of the live release, if there was one.

    Raises:
        ConfigurationError: The topics are missing.
        TryAgain: The broker cannot be reached.
    """
    return on_channels(kafka, shared).get(LIVE)


def on_channels(kafka: KafkaSettings, shared: SharedSettings) -> dict[str, ReleaseAnnouncement]:
    """
    What is on each channel: the live release, and those on trial.

    Raises:
        ConfigurationError: The topics are missing.
        TryAgain: The broker cannot be reached.
    """
    prefix = shared.topic_prefix
    with (
        permitted(kafka, prefix, reading(Topic.RELEASES)),
        closing(Announcements(kafka, prefix)) as announcements,
    ):
        last = announcements.read_all(timeout_seconds=30)
    live = last.get(LIVE)
    return {
        channel: found
        for channel, found in last.items()
        if channel == LIVE or (found.share and (live is None or found.release != live.release))
    }


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
    return put_on_channel(kafka, shared, release, why, pinned)


def put_on_channel(
    kafka: KafkaSettings,
    shared: SharedSettings,
    release: str,
    why: str,
    pinned: bool = False,
    channel: Channel = LIVE,
    share: float = 1.0,
) -> ReleaseAnnouncement:
    """
    Announce a release of the store on a channel; a share of 0 ends a trial.

    Raises:
        ReleaseError: The store has no such release, or its manifest is not valid.
        StoreError: The store is out of reach.
        TryAgain: The brokers do not hold the announcement.
    """
    store = Store(shared.store)
    announcement = ReleaseAnnouncement(
        channel=channel,
        release=release,
        manifest_digest=store.manifest_digest(release),
        store=shared.store,
        share=share,
        pinned=pinned,
        why=why,
        announced_at=datetime.now(UTC),
    )
    access = Access("this command", {Topic.RELEASES: ("Write",)})
    with permitted(kafka, shared.topic_prefix, access):
        announce(kafka, shared.topic_prefix, announcement)
    if channel == LIVE:
        store.point(LIVE, release)
    return announcement
