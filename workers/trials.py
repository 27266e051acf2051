"""A release that is tried beside the live one, and what came of it in a window. Pure."""

import hashlib
from dataclasses import dataclass

from artefacts.classifier import Classifier


@dataclass(frozen=True, eq=False)
class Challenger:
    """
    A release on channel canary or shadow, loaded.

    Attributes:
        channel: `canary` answers in the place of the live release, `shadow` beside it.
        share: Of the listings, from 0 to 1.
        classifier: It.
    """

    channel: str
    share: float
    classifier: Classifier

    @property
    def release(self) -> str:
        """Its id."""
        return self.classifier.manifest.release

    def takes(self, listing_id: str) -> bool:
        """Whether this listing is in its share: the same in every worker, and in every larger share."""
        digest = hashlib.blake2b(listing_id.encode(), digest_size=7, person=b"challenger").digest()
        return int.from_bytes(digest) / 2**56 < self.share


@dataclass
class Trial:
    """
    What a release did in a window.

    Attributes:
        listings: How many it answered.
        seconds: How long that took.
        differing: On how many of them a shadow and the live release disagree.
        failed: How many the live release answered and it could not.
        fault: Why.
    """

    listings: int = 0
    seconds: float = 0.0
    differing: int = 0
    failed: int = 0
    fault: str = ""

    def forgive(self) -> None:
        """It was not its fault: what it was given breaks the live release too."""
        self.failed, self.fault = 0, ""
