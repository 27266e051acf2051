"""How long a label takes until every worker answers with a release that has learned from it."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median

from artefacts.manifest import OffsetRange


@dataclass
class LabelClock:
    """
    Follows labels from the moment they were sent; safe to use from several threads.

    A release covers a label if the offset ranges of its lineage hold the label's place in
    `labelled`.
    """

    waiting: dict[tuple[int, int], float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    _covered: dict[str, list[OffsetRange]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def sent(self, partition: int, offset: int, at: float) -> None:
        """A label was sent."""
        with self._lock:
            self.waiting[partition, offset] = at

    def published(self, release: str, ranges: Iterable[OffsetRange]) -> None:
        """A release is known, with what it learned from in `labelled`."""
        with self._lock:
            self._covered[release] = list(ranges)

    def live(self, releases: Mapping[str, str | None], at: float) -> None:
        """These releases answer now, by worker (None: this worker does not say)."""
        with self._lock:
            known = [self._covered.get(release or "", []) for release in releases.values()]
            for place in [p for p in self.waiting if all(_covers(r, *p) for r in known)]:
                self.seconds.append(at - self.waiting.pop(place))

    @property
    def median_seconds(self) -> float | None:
        """The median over the labels that have arrived."""
        with self._lock:
            return median(self.seconds) if self.seconds else None


def _covers(ranges: Iterable[OffsetRange], partition: int, offset: int) -> bool:
    return any(r.partition == partition and r.first <= offset < r.next for r in ranges)
