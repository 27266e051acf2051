"""Times as people give them on the command line."""

import re
from datetime import UTC, datetime, timedelta

from schemas.errors import ConfigurationError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def ago(option: str, text: str) -> datetime:
    """
    The time that lies so far back, such as 24h.

    Raises:
        ConfigurationError: It cannot be read.
    """
    found = re.fullmatch(r"([0-9]+)([smhd])", text)
    try:
        if found:
            return datetime.now(UTC) - timedelta(**{_UNITS[found[2]]: int(found[1])})
    except (OverflowError, ValueError):
        pass  # more than a calendar holds
    raise ConfigurationError(f"{option} {text}: give a number and s, m, h or d, such as 24h.")
