"""The features of texts that an encoder has seen lately: titles come again, and cost nothing then."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

Row = NDArray[np.float32]


class RecentFeatures:
    """
    Features by the tokens that they are of; those asked for longest ago go first.

    It belongs to one encoder, so that another encoder knows nothing of it. Several threads may use it.

    Args:
        capacity: The most texts; each takes its tokens and 4 bytes a feature.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._rows: OrderedDict[bytes, Row] = OrderedDict()
        self._lock = threading.Lock()

    def known(self, texts: Iterable[bytes]) -> dict[bytes, Row]:
        """Find those of these texts that are remembered: float32 (dim,) each."""
        found = {}
        with self._lock:
            for text in texts:
                row = self._rows.get(text)
                if row is not None:
                    self._rows.move_to_end(text)
                    found[text] = row
        return found

    def remember(self, rows: Mapping[bytes, Row]) -> None:
        """Take in features, and forget what there is no room for."""
        if not self._capacity:
            return
        with self._lock:
            for text, row in rows.items():
                self._rows[text] = row.copy()  # a view would keep the whole batch
                self._rows.move_to_end(text)
            while len(self._rows) > self._capacity:
                self._rows.popitem(last=False)
