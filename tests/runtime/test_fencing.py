"""Whatever order trainers claim and announce in, one of them at a time is listened to."""

from datetime import UTC, datetime

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from runtime.fencing import Fence
from schemas.events import ReleaseAnnouncement, TrainerClaim

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def claim(epoch: int, trainer: str = "a") -> TrainerClaim:
    return TrainerClaim(epoch=epoch, trainer=trainer, claimed_at=NOON)


def announcement(epoch: int | None, release: str = "r") -> ReleaseAnnouncement:
    return ReleaseAnnouncement(
        channel="live",
        release=release,
        manifest_digest="0" * 64,
        store="file:///store",
        why="a test",
        announced_at=NOON,
        epoch=epoch,
    )


epochs = st.integers(1, 5)
messages = st.one_of(
    st.builds(claim, epochs, st.sampled_from("abc")),
    st.builds(announcement, epochs | st.none()),
)


def test_a_claim_silences_every_lower_epoch() -> None:
    """What was announced before it still counts; the one that was taken over from is refused."""
    fence = Fence()

    assert fence.admits(claim(1))
    assert fence.admits(announcement(1))
    assert fence.admits(claim(2))
    assert not fence.admits(announcement(1))
    assert fence.admits(announcement(2))


def test_an_operator_is_always_heard() -> None:
    """An announcement without an epoch counts, and changes nothing about who leads."""
    fence = Fence()
    fence.admits(claim(7))

    assert fence.admits(announcement(None))
    assert fence.epoch == 7


def test_of_two_claims_to_an_epoch_the_first_counts() -> None:
    """The second has to claim again."""
    fence = Fence()

    assert fence.admits(claim(3, "a"))
    assert not fence.admits(claim(3, "b"))
    assert fence.claim == claim(3, "a")


def test_a_compacted_topic_fences_by_its_announcements() -> None:
    """Where the claim is gone, the announcement under its epoch does as well."""
    fence = Fence()
    fence.admits(announcement(2))

    assert not fence.admits(announcement(1))
    assert fence.claim is None


@given(st.lists(messages, max_size=30))
def test_epochs_never_fall(log: list[ReleaseAnnouncement | TrainerClaim]) -> None:
    """What is admitted never has a lower epoch than what was seen before, admitted or not."""
    fence = Fence()
    highest = 0
    for message in log:
        admitted = fence.admits(message)
        if message.epoch is None:
            assert admitted
            continue
        assert admitted == (message.epoch >= highest + isinstance(message, TrainerClaim))
        highest = max(highest, message.epoch)
        assert fence.epoch == highest


@given(st.lists(messages, max_size=30), st.data())
def test_a_reader_of_the_compacted_log_gets_no_release_that_others_refused(
    log: list[ReleaseAnnouncement | TrainerClaim], data: st.DataObject
) -> None:
    """
    Whatever of the log is compacted away, once the leader has healed it a late reader agrees.

    A leader announces again what is live under its own epoch when it takes the lead, and when the
    last announcement is a stale one.
    """
    fence, live, whole = Fence(), None, []
    leader = 0
    for number, message in enumerate(log):
        if isinstance(message, ReleaseAnnouncement):
            message = msgspec.structs.replace(message, release=f"r-{number}")
        whole.append(message)
        admitted = fence.admits(message)
        if isinstance(message, TrainerClaim):
            leader = message.epoch if admitted else leader
            heal = admitted
        else:
            live = message if admitted else live
            heal = not admitted
        if heal and live is not None and leader == fence.epoch:
            live = msgspec.structs.replace(live, epoch=leader)
            whole.append(live)
            fence.admits(live)
    kept = data.draw(st.integers(0, len(whole)), "compacted up to")
    last = {type(message): place for place, message in enumerate(whole)}
    last_of = [
        message
        for place, message in enumerate(whole)
        if place >= kept or last[type(message)] == place
    ]
    late, found = Fence(), None
    for message in last_of:
        if late.admits(message) and isinstance(message, ReleaseAnnouncement):
            found = message

    if live is not None and leader == fence.epoch:
        assert found == live
