"""A bounded number of labelled examples, the newest, for trees that grow anew from what they keep."""

import msgspec
import numpy as np

from trainer.learners.id3 import Rows, Sample


class _State(msgspec.Struct, frozen=True):
    bound: int
    came: int
    flags: bytes
    classes: bytes
    weights: bytes


class Instances:
    """
    The newest examples. Each has a place, which one that comes later takes when all are taken.

    Args:
        bound: So many are kept.
        flags: How many flags an example has.

    Attributes:
        bound: So many are kept.
        came: So many have come.
        kept: What is at each place, taken or not.
    """

    def __init__(self, bound: int, flags: int) -> None:
        self.bound = bound
        self.kept = Sample(np.zeros((bound, flags), np.bool_), np.zeros((bound, 0)))
        self.came = 0

    def rows(self) -> Rows:
        """The places of those that are kept, the oldest first."""
        return np.arange(max(self.came - self.bound, 0), self.came) % self.bound

    def since(self, rows: Rows, came: int) -> Rows:
        """Which of some places are of examples before which so many or more had come."""
        return rows[(self.came - 1 - rows) % self.bound < self.came - came]

    def leaving(self, coming: int) -> Rows:
        """The places of those that leave when so many come, no more than the bound."""
        rows = self.rows()
        return rows[: max(0, len(rows) + coming - self.bound)]

    def add(self, examples: Sample) -> Rows:
        """Keep examples, no more than the bound, and return their places."""
        rows: Rows = np.arange(self.came, self.came + len(examples)) % self.bound
        self.kept.flags[rows] = examples.flags
        self.kept.shares[rows] = examples.shares
        self.came += len(examples)
        return rows

    def widen(self) -> None:
        """Make room for another class."""
        self.kept = Sample(self.kept.flags, np.pad(self.kept.shares, ((0, 0), (0, 1))))

    def state(self) -> bytes:
        """Everything, oldest first: the same bytes for the same examples, wherever they are."""
        kept = self.kept.at(self.rows())
        classes = kept.shares.argmax(axis=1) if len(kept) else np.zeros(0, np.int64)
        state = _State(
            self.bound,
            self.came,
            np.packbits(kept.flags, axis=1).tobytes(),
            classes.astype(np.uint32).tobytes(),
            kept.shares.sum(axis=1).tobytes(),
        )
        return msgspec.msgpack.encode(state)

    @classmethod
    def from_state(cls, state: bytes, flags: int, classes: int) -> "Instances":
        """Resume from `state()`."""
        stored = msgspec.msgpack.decode(state, type=_State)
        instances = cls(stored.bound, flags)
        for _ in range(classes):
            instances.widen()
        weights = np.frombuffer(stored.weights)
        packed = np.frombuffer(stored.flags, np.uint8).reshape(len(weights), -(-flags // 8))
        bits = np.unpackbits(packed, axis=1, count=flags).astype(np.bool_)
        places = np.frombuffer(stored.classes, np.uint32).astype(np.intp)
        instances.came = stored.came - len(weights)
        instances.add(Sample.of(bits, places, weights, classes))
        return instances
