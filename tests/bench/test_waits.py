"""How long a label waits for answers that know it."""

from bench.learning.waits import Waits


def test_a_wait_goes_on_behind_a_refused_candidate() -> None:
    """Until the next candidate passes; what never went live is not noted."""
    ended: list[float] = []
    waits = Waits(ended)
    waits.passed(9, over=False)  # nobody waits
    waits.begin()
    waits.passed(1, over=True)
    waits.begin()
    waits.passed(2, over=False)  # refused
    waits.passed(3, over=False)
    waits.begin()
    waits.passed(4, over=True)
    waits.begin()
    waits.passed(5, over=False)

    assert ended == [1, 2 + 3 + 4, 4]
