"""Whether a run is as good as the one that is checked in."""

from collections.abc import Sequence

from bench.speed.parts import Aim, spread


def compared(
    found: Sequence[Aim], before: Sequence[Aim], tolerance: float
) -> list[tuple[str, bool]]:
    """
    Compare ratios by what they are of; seconds are those of a machine, and are not compared.

    One is too bad if its median is worse beyond the tolerance, and every round of this run is worse than
    every round of the reference: what overlaps may be noise.

    Args:
        found: Of this run.
        before: Of the reference.
        tolerance: By such a share a median may be worse.

    Returns:
        For each ratio a line for people, and whether it is good enough.
    """
    known = {aim.what: aim for aim in before}
    lines = []
    for aim in found:
        if aim.unit or aim.what not in known:
            continue
        now, then = aim.found, known[aim.what].found
        more = aim.better == "more"
        worse = (then.median / now.median if more else now.median / then.median) - 1
        apart = now.most < then.least if more else now.least > then.most
        verdict = f"{worse:.0%} worse" if worse > 0 else f"{-worse:.0%} better"
        line = f"{aim.what}: {spread(now)}, was {spread(then)}: {verdict}"
        lines.append((line, worse <= tolerance or not apart))
    return lines
