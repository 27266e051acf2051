"""The replay buffer: capacity, balance, and equal chances within a class."""

import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from trainer.replay import MOST_DOMAINS, ReplayBuffer

LABELS = ("a", "b", "c", "d")
DOMAINS = ("nyc", "madrid", "")
CAPACITY = 6


class Replay(RuleBasedStateMachine):
    """A buffer beside what a database would hold of it, stopped and resumed at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = ReplayBuffer(CAPACITY)
        self.kept: dict[str, tuple[str, str]] = {}  # oldest first, as the database gives it
        self.steady = ReplayBuffer(CAPACITY)

    @rule(
        listing=st.integers(0, 30),
        label=st.sampled_from(LABELS),
        domain=st.sampled_from(DOMAINS),
        seed=st.integers(0, 9),
    )
    def offer(self, listing: int, label: str, domain: str, seed: int) -> None:
        """Offer to the resumed one and to the one that never stopped: they decide alike."""
        choice = self.buffer.offer(f"l{listing}", label, domain, random.Random(seed))
        steady = self.steady.offer(f"l{listing}", label, domain, random.Random(seed))

        assert steady == choice
        if choice.evict is not None:
            assert choice.keep
            del self.kept[choice.evict]
        if choice.keep:
            self.kept.pop(f"l{listing}", None)
            self.kept[f"l{listing}"] = (label, domain)

    @rule(listing=st.integers(0, 30))
    def remove(self, listing: int) -> None:
        """A deletion: what was kept is gone, what was not changes nothing."""
        name = f"l{listing}"
        removed = self.buffer.remove(name)

        assert removed == (self.kept.pop(name, None) is not None)
        assert removed == self.steady.remove(name)

    @rule()
    def resume(self) -> None:
        """Stop, and go on from what the database holds."""
        kept = [(listing, *place) for listing, place in self.kept.items()]
        self.buffer = ReplayBuffer(CAPACITY, kept, self.buffer.seen, self.buffer.full)

    @rule(seed=st.integers(0, 9))
    def draw(self, seed: int) -> None:
        """Both draw the same, and only what is kept."""
        drawn = self.buffer.draw(4, random.Random(seed))

        assert self.steady.draw(4, random.Random(seed)) == drawn
        assert set(drawn) <= set(self.kept)

    @invariant()
    def keeps_its_books(self) -> None:
        """The counts are those of what is kept, and never more than there is room for."""
        counts = {label: count for label, count in self.buffer.counts().items() if count}

        domains = {name: count for name, count in self.buffer.domains().items() if count}

        assert Counter(label for label, _ in self.kept.values()) == counts
        assert Counter(domain for _, domain in self.kept.values()) == domains
        assert len(self.kept) <= CAPACITY


TestReplay = Replay.TestCase


def filled(labels: str, capacity: int, seed: int, domains: str = "") -> dict[str, str]:
    """Offer listings l0, l1, … of these classes and domains, each with its own chance; what is kept."""
    buffer = ReplayBuffer(capacity)
    kept: dict[str, str] = {}
    for number, label in enumerate(labels):
        domain = domains[number : number + 1]
        choice = buffer.offer(f"l{number}", label, domain, random.Random(f"{seed} {number}"))
        if choice.evict:
            del kept[choice.evict]
        if choice.keep:
            kept[f"l{number}"] = label
    return kept


@given(st.text("abcd", min_size=1, max_size=60), st.integers(0, 99))
def test_it_is_full_once_it_could_be(labels: str, seed: int) -> None:
    """Nothing is thrown away while there is room, and no place stays empty."""
    assert min(len(labels), 10) == len(filled(labels, 10, seed))


@given(st.lists(st.sampled_from("abc"), min_size=30, max_size=80), st.integers(0, 99))
def test_rare_classes_are_kept_whole(labels: list[str], seed: int) -> None:
    """A class that never reached its equal share loses none of its listings."""
    stream = "".join(labels) + "z" * 3  # the third part of 12, after everything else
    kept = Counter(filled(stream, 12, seed).values())

    assert kept["z"] == 3


def test_a_skewed_stream_becomes_a_balanced_buffer() -> None:
    """Of 90, 9 and 1 per cent every class gets its third, as far as it has listings."""
    chance = random.Random(5)
    stream = "".join(chance.choices("abc", (90, 9, 1), k=3_000))
    kept = Counter(filled(stream, 60, 1).values())

    assert {"a", "b", "c"} == set(kept)
    assert max(kept.values()) - min(kept["a"], kept["b"]) <= 1
    assert min(20, stream.count("c")) == kept["c"]


def exact_chances(count: int, capacity: int) -> list[float]:
    """Algorithm R of one class by enumeration: the chance of each listing to be kept at the end."""
    worlds: dict[tuple[int, ...], float] = {(): 1.0}
    for number in range(count):
        following: defaultdict[tuple[int, ...], float] = defaultdict(float)
        for kept, weight in worlds.items():
            if len(kept) < capacity:
                following[(*kept, number)] += weight
                continue
            taken = capacity / (number + 1)
            following[kept] += weight * (1 - taken)
            for place in range(capacity):
                changed = (*kept[:place], number, *kept[place + 1 :])
                following[changed] += weight * taken / capacity
        worlds = dict(following)
    return [sum(weight for kept, weight in worlds.items() if n in kept) for n in range(count)]


@pytest.mark.parametrize(("count", "capacity"), [(5, 1), (5, 2), (6, 4)])
def test_within_one_class_every_listing_has_the_same_chance(count: int, capacity: int) -> None:
    """4,000 runs agree with the exact chance capacity / count within four standard errors."""
    runs = 4_000
    tally: Counter[str] = Counter()
    for seed in range(runs):
        tally.update(list(filled("a" * count, capacity, seed)))
    exact = exact_chances(count, capacity)

    assert [pytest.approx(capacity / count)] * count == exact
    for number, chance in enumerate(exact):
        error = (chance * (1 - chance) / runs) ** 0.5
        assert abs(tally[f"l{number}"] / runs - chance) < 4 * error


def test_within_a_large_class_chances_are_equal_beside_others() -> None:
    """Two classes full from the start: each of twelve listings of a class is kept alike."""
    runs, stream = 4_000, "ab" * 12
    tally: Counter[str] = Counter()
    for seed in range(runs):
        tally.update(list(filled(stream, 6, seed)))
    error = (0.25 * 0.75 / runs) ** 0.5

    for number in range(24):
        assert abs(tally[f"l{number}"] / runs - 0.25) < 4.5 * error


def test_a_kept_listing_takes_its_new_label() -> None:
    """Labelled again it stays, counted under what it is now."""
    buffer = ReplayBuffer(2, [("l1", "a", ""), ("l2", "a", "")], {"a": {"": 2}})
    choice = buffer.offer("l1", "b", "nyc", random.Random(0))

    assert (choice.keep, choice.evict) == (True, None)
    assert buffer.counts() == {"a": 1, "b": 1}
    assert buffer.seen == {"a": {"": 2}, "b": {"nyc": 0}}
    assert set(buffer.draw(50, random.Random(1))) == {"l1", "l2"}


def test_a_smaller_capacity_holds_at_once() -> None:
    """Started anew with less room, the largest classes give way until it fits."""
    kept = [(f"l{number}", label, "") for number, label in enumerate("aaaaaabb")]
    buffer = ReplayBuffer(5, kept, {"a": {"": 6}, "b": {"": 2}})
    gone = buffer.shrink(random.Random(0))

    assert buffer.counts() == {"a": 3, "b": 2}
    assert len(set(gone)) == 3
    assert buffer.shrink(random.Random(0)) == []


def test_draws_are_half_balanced() -> None:
    """A class comes as often as the root of how common it is in the stream."""
    buffer = ReplayBuffer(100, seen={"a": {"": 900}, "b": {"": 100}})
    for number in range(10):
        buffer.offer(f"a{number}", "a", "", random.Random(number))
    for number in range(5):
        buffer.offer(f"b{number}", "b", "", random.Random(number))
    drawn = Counter(buffer.draw(40_000, random.Random(1)))
    roots = {"a": 910**0.5, "b": 105**0.5}
    expected = {
        name: 40_000 * roots[name[0]] / sum(roots.values()) / (10 if name[0] == "a" else 5)
        for name in drawn
    }

    assert len(drawn) == 15
    assert all(abs(count - expected[name]) < 0.1 * expected[name] for name, count in drawn.items())


def test_draws_are_half_balanced_over_the_domains_of_a_class() -> None:
    """Within a class a city comes as often as the root of how common it is there."""
    buffer = ReplayBuffer(100, seen={"a": {"nyc": 891, "madrid": 99}})
    for number in range(9):
        buffer.offer(f"nyc{number}", "a", "nyc", random.Random(number))
    buffer.offer("madrid", "a", "madrid", random.Random(0))
    drawn = Counter(buffer.draw(40_000, random.Random(1)))

    assert len(drawn) == 10
    assert drawn["madrid"] == pytest.approx(10_000, rel=0.05)
    assert all(drawn[f"nyc{n}"] == pytest.approx(30_000 / 9, rel=0.1) for n in range(9))


def test_a_city_does_not_push_out_another() -> None:
    """A thousand listings of one city after 30 of another: each class is shared half and half."""
    labels, domains = "ab" * 15 + "ab" * 500, "n" * 30 + "m" * 1_000
    kept = filled(labels, 40, 3, domains)
    shares = Counter((label, domains[int(listing[1:])]) for listing, label in kept.items())

    assert shares == {("a", "n"): 10, ("a", "m"): 10, ("b", "n"): 10, ("b", "m"): 10}


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("nm")), min_size=20, max_size=70),
    st.integers(0, 99),
)
def test_a_rare_city_is_kept_whole(stream: list[tuple[str, str]], seed: int) -> None:
    """What never was more than its share of a class loses none of its listings to other cities."""
    listings = [*stream, *[("a", "z")] * 2]
    kept = filled("".join(a for a, _ in listings), 12, seed, "".join(d for _, d in listings))

    assert {f"l{len(stream)}", f"l{len(stream) + 1}"} <= set(kept)


@pytest.mark.parametrize("domains", ["nnnnm", "nmnmnm", "nnnmmz"])
def test_within_a_city_every_listing_has_the_same_chance(domains: str) -> None:
    """All outcomes of a tiny stream of one class, by enumeration: kept / seen within each city."""
    chances = exact_city_chances(domains, capacity=3)
    runs = 3_000
    tally: Counter[str] = Counter()
    for seed in range(runs):
        tally.update(list(filled("a" * len(domains), 3, seed, domains)))

    assert sum(chances) == pytest.approx(3)
    for city in set(domains):
        assert len({round(c, 9) for c, d in zip(chances, domains, strict=True) if d == city}) == 1
    for number, chance in enumerate(chances):
        error = max(1e-9, chance * (1 - chance) / runs) ** 0.5
        assert abs(tally[f"l{number}"] / runs - chance) < 4.5 * error


def exact_city_chances(domains: str, capacity: int) -> list[float]:
    """
    The rule for one class, written as a distribution: the chance of each listing to be kept.

    A world is what is kept and which cities were the largest.
    """
    worlds: dict[tuple[frozenset[int], frozenset[str]], float] = {(frozenset(), frozenset()): 1.0}
    for number, city in enumerate(domains):
        following: defaultdict[tuple[frozenset[int], frozenset[str]], float] = defaultdict(float)
        for (kept, full), weight in worlds.items():
            if len(kept) < capacity:
                following[kept | {number}, full] += weight
                continue
            sizes = Counter(domains[n] for n in kept)
            largest = {name for name in sizes if sizes[name] == max(sizes.values())}
            grown = full | largest
            own = {n for n in kept if domains[n] == city}
            taken = len(own) / domains[: number + 1].count(city) if city in grown else 1.0
            following[kept, grown] += weight * (1 - taken)
            groups = (
                [own] if city in grown else [{n for n in kept if domains[n] == d} for d in largest]
            )
            for group in groups:
                for gone in group:
                    chance = weight * taken / len(groups) / len(group)
                    following[kept - {gone} | {number}, grown] += chance
        worlds = dict(following)
    return [sum(w for (kept, _), w in worlds.items() if n in kept) for n in range(len(domains))]


def test_the_number_of_cities_is_bounded() -> None:
    """A producer that invents a source for every listing fills one common place, not the memory."""
    buffer = ReplayBuffer(80)
    for number in range(1_000):
        buffer.offer(f"l{number}", "a", f"source {number}", random.Random(number))

    assert len(buffer.domains()) == MOST_DOMAINS + 1
    assert sum(buffer.domains().values()) == 80
    assert buffer.domains()[""] == 30


def test_nothing_is_drawn_from_an_empty_buffer() -> None:
    """Also if it was emptied."""
    buffer = ReplayBuffer(3)
    buffer.offer("l", "a", "nyc", random.Random(0))
    buffer.remove("l")

    assert buffer.draw(4, random.Random(0)) == []
