"""When n-grams learn anew from the replay buffer, since their weights depend on the order. Pure."""

from collections.abc import Mapping

import msgspec

LEAST_LABELS = 50
GROWTH = 2.0
FIRST_LABELS = 100
FORGET_WITHIN_LABELS = 1_000
"""So many labels and opinions after a deletion n-grams have nothing of it any more, on any stream."""


class Fitted(msgspec.Struct, frozen=True):
    """
    What a learner was fitted to.

    Attributes:
        counts: How many labels of each class had come.
        label: The number of the last label that was kept; 0 before the first.
    """

    counts: dict[str, int] = {}
    label: int = 0


def why_anew(
    fitted: Fitted, now: Fitted, change: int, replay_size: int, since_deletion: int | None
) -> str:
    """
    Why a learner is to learn anew, in words; empty if it is not.

    It is when a class is twice as common as when it was fitted, and whenever what has come since the
    stream began, or changed, has doubled, as long as the replay buffer has room for all of it. So it is
    seldom, however long the stream: what n-grams have learned long ago hardly moves any more, and holds
    up what is new.

    Where it still has something of deleted listings, it learns anew 1,000 labels and opinions after the
    first of their deletions: at any of them would be too often.

    Simulated on the streams of `bench/learning` (mixture alone, MiniLM as tuned on the first city, 3
    seeds): 1,000 labels after a sharp drift accuracy is .884 instead of .864; city after city ends in
    .860/.604 (accuracy / macro-F1) instead of .858/.598.

    Args:
        fitted: What it was fitted to.
        now: What has come by now.
        change: The number of the last label before the stream last changed; 0: it never has.
        replay_size: The most listings in the buffer.
        since_deletion: How many lessons came since the first deletion that the learner could not take
            back; None: it has nothing of what was deleted.
    """
    if classes := risen(fitted.counts, now.counts):
        return f"more common by now: {', '.join(classes)}"
    before, since = max(0, fitted.label - change), now.label - change
    if max(FIRST_LABELS, GROWTH * before) <= since <= replay_size:
        return f"{since} labels since the stream {'changed' if change else 'began'}"
    if since_deletion is not None and since_deletion >= FORGET_WITHIN_LABELS:
        return f"{since_deletion} labels since a deletion"
    return ""


def risen(before: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    """
    The classes that have become at least twice as common since a learner was fitted, by name.

    Args:
        before: How many labels of each class had come when it was fitted.
        now: How many have come by now; a class with fewer than 50 is too rare to tell.
    """
    total_before, total_now = max(1, sum(before.values())), max(1, sum(now.values()))
    return sorted(
        label
        for label, count in now.items()
        if count >= LEAST_LABELS
        and count / total_now >= GROWTH * before.get(label, 0) / total_before
    )
