"""Whether a run is as good as the one that is checked in."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.speed.parts import Aim
from bench.speed.report import Report
from schemas.errors import ConfigurationError


def reference(path: Path) -> list[Aim]:
    """
    Read the figures of an earlier run.

    Raises:
        ConfigurationError: There are none.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report).aims
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigurationError(
            f"{path} holds no figures to compare with: {error}. 'make bench ARGS=\"--docs docs\"' writes "
            "them."
        ) from error


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
