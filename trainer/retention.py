"""Keep the store from growing for ever."""

import time
from collections.abc import Callable, Collection

import structlog

from artefacts.errors import StoreError
from artefacts.retention import prune
from artefacts.store import Store

_log = structlog.get_logger(__name__)

_LOOK_SECONDS = 60.0


class Retention:
    """
    Removes old releases of the trainer now and then.

    Args:
        store: Where they are.
        made: The releases that this trainer made.
        keep: How many of the newest stay; a tenth more may be there before the rest goes.
        used: The releases that somebody needs now.
    """

    def __init__(
        self,
        store: Store,
        made: Callable[[], Collection[str]],
        keep: int,
        used: Callable[[], Collection[str]],
    ) -> None:
        self._store = store
        self._made = made
        self._keep = keep
        self._used = used
        self._look_at = 0.0

    def step(self) -> None:
        """Look once a minute; a store that is out of reach is looked at again."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + _LOOK_SECONDS
        try:
            made = self._made()
            there = sum(name in made for name in self._store.releases())
            if there <= self._keep + self._keep // 10:
                return
            gone = prune(self._store, made, self._keep, self._used())
        except StoreError as error:
            _log.warning("old releases stay for now", why=str(error))
            return
        if gone:
            _log.info("old releases removed", count=len(gone), newest=gone[-1])
