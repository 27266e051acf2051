"""The test between two releases keeps its error rates, looked at as often as one likes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.sequential import Pairs, capital, verdict

MARGIN, PROMOTION, ROLLBACK = 0.02, 0.1, 0.1
RUNS = 200


def ends(wins: float, losses: float, labels: int, seed: int) -> tuple[dict[str, int], float]:
    """Run many trials, looking after every tenth label: verdicts, and the median of labels they took."""
    generator = np.random.default_rng(seed)
    found = {"better": 0, "worse": 0, "open": 0}
    took = []
    for _ in range(RUNS):
        drawn = generator.choice(3, p=[wins, losses, 1 - wins - losses], size=labels)
        counts = np.cumsum(drawn[:, None] == np.arange(3), axis=0)[9::10]
        for row in counts:
            said = verdict(Pairs(*row.tolist()), MARGIN, PROMOTION, ROLLBACK)
            if said != "open":
                break
        found[said] += 1
        took.append(int(row.sum()))
    return found, float(np.median(took))


@pytest.mark.parametrize(("wins", "losses"), [(0.03, 0.05), (0.0, 0.02), (0.2, 0.22)])
def test_what_is_worse_by_the_margin_is_seldom_promoted(wins: float, losses: float) -> None:
    """At the very edge, with few and with many labels on which the two differ."""
    found, _ = ends(wins, losses, 600, seed=1)

    assert found["better"] <= PROMOTION * RUNS


@pytest.mark.parametrize(("wins", "losses"), [(0.04, 0.04), (0.2, 0.2), (0.05, 0.04)])
def test_what_is_not_worse_is_seldom_dropped(wins: float, losses: float) -> None:
    """Equal ones too, which is the hardest."""
    found, _ = ends(wins, losses, 600, seed=2)

    assert found["worse"] <= ROLLBACK * RUNS


def test_clear_cases_end_soon() -> None:
    """A broken release within tens of labels, a better or an equal one within some hundreds."""
    broken, after = ends(0.02, 0.22, 400, seed=3)
    better, later = ends(0.06, 0.02, 800, seed=4)
    same, last = ends(0.0, 0.0, 400, seed=5)

    assert broken == {"better": 0, "worse": RUNS, "open": 0}
    assert after < 60
    assert better["better"] > 0.95 * RUNS
    assert later < 200
    assert same == {"better": RUNS, "worse": 0, "open": 0}
    assert last < 300


@given(st.integers(0, 2_000), st.integers(0, 2_000), st.integers(0, 10**7))
def test_no_counts_break_it(wins: int, losses: int, ties: int) -> None:
    """Whatever came, exactly one thing is said, and more wins never make it look worse."""
    pairs = Pairs(wins, losses, ties)
    more = pairs + Pairs(wins=10)

    assert verdict(pairs, MARGIN, PROMOTION, ROLLBACK) in ("better", "worse", "open")
    assert capital(more, MARGIN, down=False) >= capital(pairs, MARGIN, down=False)
    assert capital(more, 0, down=True) <= capital(pairs, 0, down=True)


def test_nothing_is_known_before_the_first_label() -> None:
    """The capital is 1."""
    assert capital(Pairs(), MARGIN, down=False) == capital(Pairs(), 0, down=True) == 1
    assert verdict(Pairs(), MARGIN, PROMOTION, ROLLBACK) == "open"
    assert Pairs().difference == 0
