"""Which listings of a demo get a label, and from whom."""

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas.events import ReviewRequest

IMPORTED_PART = 2 / 3  # of the labelled share comes with the listings, the rest from people


@dataclass
class Labels:
    """
    Which listings get a label, and from whom; each gets at most one.

    A share is imported together with the listings. Of what the workers ask people to review, the
    reviewer takes as many as are needed to reach the wanted share, at random.
    """

    share: float
    seed: int
    given: set[str] = field(default_factory=set)
    imported: int = 0
    by_people: int = 0

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)  # noqa: S311 - a reproducible choice, no secret
        self._lock = threading.Lock()

    @property
    def imported_share(self) -> float:
        """The probability that a listing comes with its label."""
        return self.share * IMPORTED_PART

    @property
    def people_share(self) -> float:
        """The share of listings that people label."""
        return self.share - self.imported_share

    @property
    def sent(self) -> int:
        """How many labels were given."""
        return len(self.given)

    def imports(self, event_id: str) -> bool:
        """Whether this listing comes with its label."""
        with self._lock:
            if self._chance.random() >= self.imported_share:
                return False
            self.given.add(event_id)
            self.imported += 1
            return True

    def review(
        self, requests: Sequence[ReviewRequest], answered: int
    ) -> list[tuple[ReviewRequest, float]]:
        """
        Choose the requests that a person answers now.

        Args:
            requests: Those that have come since the last time.
            answered: How many listings the workers have answered so far.

        Returns:
            The chosen ones, each with the probability with which its listing got here.
        """
        with self._lock:
            fresh = {r.event.event_id: r for r in requests if r.event.event_id not in self.given}
            wanted = answered * self.people_share - self.by_people
            probability = min(1.0, wanted / len(fresh)) if fresh else 0.0
            chosen = [r for r in fresh.values() if self._chance.random() < probability]
            self.given.update(r.event.event_id for r in chosen)
            self.by_people += len(chosen)
            reached = (1 - self.imported_share) * probability
            return [(r, r.propensity * reached) for r in chosen]
