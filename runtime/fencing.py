"""Which trainer may announce releases. Pure, and the same for every reader of `releases`."""

from dataclasses import dataclass

from schemas.events import ReleaseAnnouncement, TrainerClaim


@dataclass
class Fence:
    """
    Sees the messages of `releases` in the order of the log, and refuses stale ones.

    A trainer that was paused or cut off may wake up and announce what it had in hand, while another
    one has taken its place. The other one's claim stands before it on the log, so that every reader
    refuses it alike.

    Attributes:
        epoch: The highest epoch seen; 0 before the first.
        claim: The claim to that epoch, if it was seen: the first one counts.
    """

    epoch: int = 0
    claim: TrainerClaim | None = None

    def admits(self, event: ReleaseAnnouncement | TrainerClaim) -> bool:
        """Whether the next message of the log counts. An operator's announcement always does."""
        if event.epoch is None:
            return True
        claim = event if isinstance(event, TrainerClaim) else None
        if event.epoch < self.epoch or (claim and event.epoch == self.epoch):
            return False
        if event.epoch > self.epoch:
            self.epoch, self.claim = event.epoch, claim
        return True
