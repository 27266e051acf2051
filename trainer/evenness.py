"""When classes come so unevenly that a learner should learn anew, in random order."""

from collections.abc import Mapping

LEAST_LABELS = 50
GROWTH = 2.0


def risen(before: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    """
    The classes that have become at least twice as common since a learner was fitted, by name.

    So few of them come up again and again, however long the stream: a share can only double so often.

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
