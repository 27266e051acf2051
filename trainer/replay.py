"""The replay buffer's choice: which labelled listings are kept."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """What to do with an offered listing: whether to keep it, and which one goes for it."""

    keep: bool
    evict: str | None = None


class ReplayBuffer:
    """
    Class-balancing reservoir sampling.

    Chrysakis & Moens 2020, "Online Continual Learning from Imbalanced Data", algorithm 1.
    While there is room everything is kept. Then a listing of a class that never was the largest takes
    the place of a random one of the largest class; a listing of the others takes the place of a random
    one of its own class with the probability kept / seen of that class, so that within a class every
    listing has the same chance (Vitter 1985, algorithm R).

    Args:
        capacity: The most listings.
        kept: Listing ids with labels that are in the buffer, oldest first.
        seen: How many listings of each class were offered.
        full: The classes that were the largest once the buffer was full.
    """

    def __init__(
        self,
        capacity: int,
        kept: Iterable[tuple[str, str]] = (),
        seen: Mapping[str, int] | None = None,
        full: Iterable[str] = (),
    ) -> None:
        self._capacity = capacity
        self._members: dict[str, list[str]] = {}
        self._label_of: dict[str, str] = {}
        self._seen = dict(seen or {})
        self._full = set(full)
        for listing, label in kept:
            self._add(listing, label)

    @property
    def full(self) -> list[str]:
        """The classes that were the largest once the buffer was full."""
        return sorted(self._full)

    @property
    def seen(self) -> dict[str, int]:
        """How many listings of each class were offered."""
        return dict(self._seen)

    def counts(self) -> dict[str, int]:
        """How many listings of each class are kept."""
        return {label: len(members) for label, members in self._members.items()}

    def offer(self, listing: str, label: str, chance: random.Random) -> Choice:
        """
        Decide whether a listing is kept.

        Args:
            listing: Its id; one that is kept already takes the new label and stays.
            label: Its class.
            chance: Decides; seed it with the event, so that a repeat decides alike.
        """
        if listing in self._label_of:
            self.remove(listing)
            self._add(listing, label)
            return Choice(keep=True)
        self._seen[label] = self._seen.get(label, 0) + 1
        if len(self._label_of) < self._capacity:
            self._add(listing, label)
            return Choice(keep=True)
        evicted = self._victim(label, chance)
        if evicted is None:
            return Choice(keep=False)
        self.remove(evicted)
        self._add(listing, label)
        return Choice(keep=True, evict=evicted)

    def draw(self, count: int, chance: random.Random) -> list[str]:
        """
        Draw listings to rehearse, with replacement.

        Half balanced: a class comes as often as the square root of how often it was offered. Full
        balance costs accuracy where classes are rare, none at all forgets them.
        """
        classes = sorted(label for label, members in self._members.items() if members)
        if not classes:
            return []
        weights = [self._seen.get(label, 1) ** 0.5 for label in classes]
        return [
            chance.choice(self._members[label])
            for label in chance.choices(classes, weights, k=count)
        ]

    def remove(self, listing: str) -> bool:
        """Forget a listing; return whether it was kept."""
        label = self._label_of.pop(listing, None)
        if label is None:
            return False
        self._members[label].remove(listing)
        return True

    def shrink(self, chance: random.Random) -> list[str]:
        """Forget random listings of the largest class until the capacity holds; return them."""
        gone = []
        while len(self._label_of) > self._capacity:
            gone.append(self._of_the_largest(chance))
            self.remove(gone[-1])
        return gone

    def _victim(self, label: str, chance: random.Random) -> str | None:
        self._full.update(self._largest())
        if label not in self._full:
            return self._of_the_largest(chance)
        own = self._members.get(label, [])
        if own and chance.random() < len(own) / self._seen[label]:
            return chance.choice(own)
        return None

    def _of_the_largest(self, chance: random.Random) -> str:
        return chance.choice(self._members[chance.choice(self._largest())])

    def _largest(self) -> list[str]:
        """The classes that have most, by name: a resumed buffer has met them in another order."""
        most = max(len(members) for members in self._members.values())
        return sorted(name for name, members in self._members.items() if len(members) == most)

    def _add(self, listing: str, label: str) -> None:
        self._members.setdefault(label, []).append(listing)
        self._label_of[listing] = label
