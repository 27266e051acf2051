"""Whether a run is as good as the one that is checked in."""

from collections.abc import Sequence

from bench.speed.parts import Aim


def compared(
    found: Sequence[Aim], before: Sequence[Aim], tolerance: float
) -> list[tuple[str, bool]]:
    """
    Compare ratios by what they are of; seconds are those of a machine, and are not compared.

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
        now, then = aim.found.median, known[aim.what].found.median
        worse = then / now - 1 if aim.better == "more" else now / then - 1
        verdict = f"{worse:.0%} worse" if worse > 0 else f"{-worse:.0%} better"
        lines.append((f"{aim.what}: {now:.2f}, was {then:.2f} ({verdict})", worse <= tolerance))
    return lines
