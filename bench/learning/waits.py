"""How long labels wait for answers that know them."""


class Waits:
    """
    The waits of the newest label of each candidate.

    A wait ends when a release is live: one behind a refused candidate goes on until the next that passes.

    Args:
        ended: Where the seconds of those that are over are noted.
    """

    def __init__(self, ended: list[float]) -> None:
        self._ended = ended
        self._going_on: list[float] = []

    def begin(self) -> None:
        """A candidate is made of the labels so far, of which the newest waits from now on."""
        self._going_on.append(0.0)

    def passed(self, seconds: float, over: bool) -> None:
        """Let time pass; the waits are over if a release became live in it."""
        self._going_on = [wait + seconds for wait in self._going_on]
        if over:
            self._ended += self._going_on
            self._going_on = []
