"""The replay buffer's choice: which labelled listings are kept."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MOST_DOMAINS = 50
OTHERS = ""
"""The domain of listings without one, and of those that come from a domain beyond the first 50."""

Seen = dict[str, dict[str, int]]
Full = dict[str, list[str]]


@dataclass(frozen=True)
class Choice:
    """What to do with an offered listing: whether to keep it, and which one goes for it."""

    keep: bool
    evict: str | None = None


class ReplayBuffer:
    """
    Class-balancing reservoir sampling, and the same again over the domains of a class.

    Chrysakis & Moens 2020, "Online Continual Learning from Imbalanced Data", algorithm 1, in two levels.
    While there is room everything is kept. Then a listing of a class that never was the largest takes
    a place of the largest class. A class that was keeps to its places, and its domains share them by
    the same rule: a listing of a domain that never was the largest of its class takes a place of the
    one that is, and another takes the place of a random one of its own class and domain with the
    probability kept / seen of these, so that within a class and domain every listing has the same
    chance (Vitter 1985, algorithm R). What lost all of its places begins anew.

    Classes come first: a city cannot push out a class, nor, within a class, another city. With one
    domain this is the algorithm of the paper.

    Args:
        capacity: The most listings.
        kept: Listing id, label and domain of what is in the buffer, oldest first.
        seen: How many listings of each class and domain were offered.
        full: The classes that were the largest once the buffer was full, and of each the domains that
            were its largest then.
    """

    def __init__(
        self,
        capacity: int,
        kept: Iterable[tuple[str, str, str]] = (),
        seen: Mapping[str, Mapping[str, int]] | None = None,
        full: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        self._capacity = capacity
        self._members: dict[str, dict[str, list[str]]] = {}
        self._place_of: dict[str, tuple[str, str]] = {}
        self._seen = {label: dict(domains) for label, domains in (seen or {}).items()}
        self._domains = {domain for domains in self._seen.values() for domain in domains}
        self._full = {label: set(domains) for label, domains in (full or {}).items()}
        for listing, label, domain in kept:
            self._add(listing, label, self._known(domain))

    @property
    def full(self) -> Full:
        """The classes that were the largest once the buffer was full, and their largest domains."""
        return {label: sorted(domains) for label, domains in sorted(self._full.items())}

    @property
    def seen(self) -> Seen:
        """How many listings of each class and domain were offered."""
        return {label: dict(domains) for label, domains in self._seen.items()}

    def offered(self) -> dict[str, int]:
        """How many listings of each class were offered."""
        return {label: sum(domains.values()) for label, domains in self._seen.items()}

    def counts(self) -> dict[str, int]:
        """How many listings of each class are kept."""
        return {label: _size(domains) for label, domains in self._members.items()}

    def domains(self) -> dict[str, int]:
        """How many listings of each domain are kept."""
        counts = dict.fromkeys(self._domains, 0)
        for _, domain in self._place_of.values():
            counts[domain] += 1
        return counts

    def offer(self, listing: str, label: str, domain: str, chance: random.Random) -> Choice:
        """
        Decide whether a listing is kept.

        Args:
            listing: Its id; one that is kept already takes the new label and domain, and stays.
            label: Its class.
            domain: Where it comes from; empty if unknown.
            chance: Decides; seed it with the event, so that a repeat decides alike.
        """
        domain = self._known(domain)
        if listing in self._place_of:
            self.remove(listing)
            self._add(listing, label, domain)
            return Choice(keep=True)
        seen = self._seen.setdefault(label, {})
        seen[domain] = seen.get(domain, 0) + 1
        if len(self._place_of) < self._capacity:
            self._add(listing, label, domain)
            return Choice(keep=True)
        evicted = self._victim(label, domain, chance)
        if evicted is None:
            return Choice(keep=False)
        self.remove(evicted)
        self._add(listing, label, domain)
        return Choice(keep=True, evict=evicted)

    def draw(self, count: int, chance: random.Random) -> list[str]:
        """
        Draw listings to rehearse, with replacement.

        Half balanced: a class comes as often as the square root of how often it was offered, and
        within a class a domain likewise. Full balance costs accuracy where classes are rare, none at
        all forgets them.
        """
        classes = sorted(label for label, domains in self._members.items() if _size(domains))
        if not classes:
            return []
        weights = [max(1, sum(self._seen[label].values())) ** 0.5 for label in classes]
        return [self._drawn(label, chance) for label in chance.choices(classes, weights, k=count)]

    def remove(self, listing: str) -> bool:
        """Forget a listing; return whether it was kept."""
        place = self._place_of.pop(listing, None)
        if place is None:
            return False
        label, domain = place
        self._members[label][domain].remove(listing)
        return True

    def shrink(self, chance: random.Random) -> list[str]:
        """Forget random listings of the largest class until the capacity holds; return them."""
        gone = []
        while len(self._place_of) > self._capacity:
            gone.append(self._of_the_largest(chance))
            self.remove(gone[-1])
        return gone

    def _victim(self, label: str, domain: str, chance: random.Random) -> str | None:
        for largest in self._largest():
            self._full.setdefault(largest, set())
        domains = self._members.get(label, {})
        if label not in self._full or not _size(domains):
            return self._of_the_largest(chance)
        full, own = self._full[label], domains.get(domain)
        full.update(_largest(domains))
        if domain not in full or not own:
            return self._of_the_largest_domain(label, chance)
        taken = chance.random() < len(own) / self._seen[label][domain]
        return chance.choice(own) if taken else None

    def _of_the_largest(self, chance: random.Random) -> str:
        return self._of_the_largest_domain(chance.choice(self._largest()), chance)

    def _of_the_largest_domain(self, label: str, chance: random.Random) -> str:
        """A random listing of the domain that has most of a class; that domain is full from now on."""
        domains = self._members[label]
        largest = _largest(domains)
        self._full.setdefault(label, set()).update(largest)
        return chance.choice(domains[chance.choice(largest)])

    def _largest(self) -> list[str]:
        """The classes that have most, by name: a resumed buffer has met them in another order."""
        counts = self.counts()
        most = max(counts.values())
        return sorted(label for label, count in counts.items() if count == most)

    def _drawn(self, label: str, chance: random.Random) -> str:
        domains = {name: members for name, members in self._members[label].items() if members}
        names = sorted(domains)
        weights = [max(1, self._seen[label][name]) ** 0.5 for name in names]
        return chance.choice(domains[chance.choices(names, weights)[0]])

    def _known(self, domain: str) -> str:
        """The domain, unless there are too many: a producer may invent one for every listing."""
        if domain in self._domains:
            return domain
        if len(self._domains - {OTHERS}) >= MOST_DOMAINS:
            domain = OTHERS
        self._domains.add(domain)
        return domain

    def _add(self, listing: str, label: str, domain: str) -> None:
        self._seen.setdefault(label, {}).setdefault(domain, 0)
        self._members.setdefault(label, {}).setdefault(domain, []).append(listing)
        self._place_of[listing] = (label, domain)


def _size(domains: Mapping[str, list[str]]) -> int:
    return sum(map(len, domains.values()))


def _largest(domains: Mapping[str, list[str]]) -> list[str]:
    """The domains that have most of a class, by name."""
    most = max(map(len, domains.values()))
    return sorted(name for name, members in domains.items() if len(members) == most)
