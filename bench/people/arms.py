"""The ways to learn from people that are compared."""

from dataclasses import dataclass
from typing import Literal

BUDGETS = (0.02, 0.05, 0.1, 0.2, 0.4)
EPSILONS = (0.0, 0.05, 0.1)
BOTH_BUDGET = 0.05

BEGINNING = 100
"""Labels before there is feedback: the first release waits for so many (TRAINER_FIRST_LABELS)."""

RANDOM_PART = 0.1
"""So much of a budget is asked about at random: it keeps a hold-out unbiased."""


@dataclass(frozen=True)
class Arm:
    """
    A way to learn from people.

    Attributes:
        name: What results call it.
        asks: Which listings a person labels: the uncertain ones within a budget (and some at random),
            any, or none.
        budget: The share of the stream that is labelled.
        begins: So many of the first listings are labelled whatever the budget.
        feedback: A person says of every other answer whether it is right.
        epsilon: The share of answers that show another label than the best.
        weighs: What is accepted counts by its propensity.
    """

    name: str
    asks: Literal["uncertain", "random", "none"] = "none"
    budget: float = 0.0
    begins: int = 0
    feedback: bool = False
    epsilon: float = 0.0
    weighs: bool = True


ALL = "all labels"
FIRST = f"the first {BEGINNING} labels alone"


def asking(asks: Literal["uncertain", "random"], budget: float) -> Arm:
    """Labels within a budget."""
    return Arm(f"{asks} {budget:.0%}", asks, budget)


def hearing(epsilon: float, weighs: bool = True) -> Arm:
    """Feedback on everything but the first labels."""
    name = f"feedback, epsilon {epsilon:g}" + ("" if weighs else ", unweighted")
    return Arm(name, begins=BEGINNING, feedback=True, epsilon=epsilon, weighs=weighs)


def both(budget: float) -> Arm:
    """Labels of uncertain listings, and feedback on all others."""
    return Arm(
        f"uncertain {budget:.0%}, feedback on the rest",
        "uncertain",
        budget,
        BEGINNING,
        feedback=True,
    )


ARMS = (
    Arm(ALL, "random", 1.0),
    *(asking("uncertain", budget) for budget in BUDGETS),
    *(asking("random", budget) for budget in BUDGETS),
    Arm(FIRST, begins=BEGINNING),
    *map(hearing, EPSILONS),
    hearing(EPSILONS[-1], weighs=False),
    both(BOTH_BUDGET),
)
