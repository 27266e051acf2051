"""The broker's part: whoever holds the one partition keeps it when others come."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from kafka.protocol.consumer.metadata import ConsumerProtocolSubscription

from trainer.leadership import IncumbentFirst


@dataclass(frozen=True)
class Member:
    """As kafka-python hands it to an assignor."""

    member_id: str
    metadata: ConsumerProtocolSubscription


def rebalance(group: dict[str, IncumbentFirst], generation: int) -> set[str]:
    """One meeting of a group; who holds the partition then."""
    members = [Member(name, each.metadata(["releases"])) for name, each in group.items()]
    assignments = IncumbentFirst().assign(None, members)
    for name, each in group.items():
        each.on_assignment(assignments[name], generation)
    return {name for name, given in assignments.items() if given.partitions()}


@given(st.lists(st.sampled_from("abcd"), max_size=20))
def test_it_moves_only_when_its_holder_leaves(comings_and_goings: list[str]) -> None:
    """At every moment exactly one member holds it, the one before if it is still there."""
    group: dict[str, IncumbentFirst] = {}
    holder: set[str] = set()
    for generation, name in enumerate(comings_and_goings):
        if group.pop(name, None) is None:
            group[name] = IncumbentFirst()
        if not group:
            continue
        before, holder = holder, rebalance(group, generation)

        assert len(holder) == 1
        assert holder == before or not before & set(group)


def test_one_that_was_away_does_not_take_it_back() -> None:
    """It still believes that it holds it, from a generation that is over."""
    first, second = IncumbentFirst(), IncumbentFirst()
    rebalance({"z": first}, 1)
    rebalance({"a": second}, 2)

    assert rebalance({"z": first, "a": second}, 3) == {"a"}
