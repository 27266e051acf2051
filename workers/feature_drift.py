"""
Do listings still look as they did? Needs no labels.

The first listings that a worker sees with an encoder are the reference, kept in the cache folder for its
next start. From then on the last ones are compared with them by a two-sample Kolmogorov-Smirnov test on
each of the reference's principal components, Bonferroni-corrected (Rabanser, Günnemann & Lipton 2019,
"Failing loudly"). The reference is traffic and not what the trainer has: people label what is doubtful,
and that never looks like the traffic.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from artefacts.graphs import Floats
from artefacts.store import write_atomically
from workers.metrics import WorkerMetrics

_log = structlog.get_logger(__name__)

_REFERENCE, _RECENT, _EVERY = 1_000, 500, 100
_COMPONENTS = 8
_TERMS = np.arange(1, 101)

Projections = NDArray[np.float64]


@dataclass(frozen=True)
class Reference:
    """
    How features looked.

    Attributes:
        mean: float32 (dim,).
        components: Orthonormal rows, of the most variance first, float32 (components, dim).
        sample: Projections on them, each column in order, float64 (listings, components).
    """

    mean: Floats
    components: Floats
    sample: Projections

    @classmethod
    def of(cls, features: Floats) -> "Reference":
        """Describe features, float32 (listings, dim)."""
        mean = features.mean(axis=0)
        _, vectors = np.linalg.eigh(np.atleast_2d(np.cov(features, rowvar=False)))
        components = vectors[:, ::-1][:, :_COMPONENTS].T.astype(np.float32)
        sample = ((features - mean) @ components.T).astype(np.float64)
        return cls(mean, components, np.sort(sample, axis=0))

    def project(self, features: Floats) -> Projections:
        """Projections of features, float64 (listings, components)."""
        return ((features - self.mean) @ self.components.T).astype(np.float64)

    def compare(self, recent: Projections) -> tuple[float, float]:
        """
        Compare projections with the sample.

        Returns:
            The largest distance of two distributions, and the chance of one as large on any component if
            nothing has changed.
        """
        distances = [
            ks_distance(self.sample[:, column], np.sort(recent[:, column]))
            for column in range(self.sample.shape[1])
        ]
        largest = max(distances)
        chance = ks_chance(largest, len(self.sample), len(recent))
        return largest, min(1.0, chance * len(distances))


class FeatureDrift:
    """
    Watches the features of one worker.

    Args:
        folder: Where references are kept, a file an encoder.
        metrics: Shows how far the last listings are from the reference.
    """

    def __init__(self, folder: Path, metrics: WorkerMetrics) -> None:
        self._folder = folder
        self._metrics = metrics
        self._encoder = ""
        self._reference: Reference | None = None
        self._rows: list[NDArray[np.floating]] = []
        self._since = 0

    def observe(self, encoder: str, features: Sequence[Floats]) -> None:
        """Take in a sample of a window: features, each (listings, dim), by the encoder of this digest."""
        if encoder != self._encoder:
            self._encoder, self._rows, self._since = encoder, [], 0
            self._reference = self._read()
        for batch in features:
            if self._reference is None:
                self._collect(batch)
            else:
                self._compare(self._reference, batch)

    def _collect(self, features: Floats) -> None:
        self._rows += list(features)
        if len(self._rows) >= _REFERENCE:
            self._reference = Reference.of(np.stack(self._rows).astype(np.float32))
            self._rows = []
            self._write(self._reference)

    def _compare(self, reference: Reference, features: Floats) -> None:
        self._rows = [*self._rows, *reference.project(features)][-_RECENT:]
        self._since += len(features)
        if len(self._rows) == _RECENT and self._since >= _EVERY:
            self._since = 0
            distance, chance = reference.compare(np.stack(self._rows).astype(np.float64))
            self._metrics.feature_distance.set(distance)
            self._metrics.feature_chance.set(chance)

    @property
    def _path(self) -> Path:
        return self._folder / f"features-{self._encoder}.npz"

    def _read(self) -> Reference | None:
        try:
            with np.load(self._path, allow_pickle=False) as kept:
                return Reference(kept["mean"], kept["components"], kept["sample"])
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001 - a damaged file of any kind: begin afresh
            _log.warning("reference of features cannot be read: beginning afresh", why=repr(error))
            return None

    def _write(self, reference: Reference) -> None:
        data = io.BytesIO()
        np.savez(
            data,
            mean=reference.mean,
            components=reference.components,
            sample=reference.sample,
        )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path, data.getvalue())
        except OSError as error:
            _log.warning("reference of features cannot be kept for the next start", why=str(error))


def ks_distance(first: Projections, second: Projections) -> float:
    """The largest distance of two empirical distributions, given as numbers in order."""
    both = np.concatenate([first, second])
    below_first = np.searchsorted(first, both, side="right") / len(first)
    below_second = np.searchsorted(second, both, side="right") / len(second)
    return float(np.abs(below_first - below_second).max())


def ks_chance(distance: float, first: int, second: int) -> float:
    """
    The chance of such a distance between samples of so many numbers of one distribution.

    Stephens 1970, "Use of the Kolmogorov-Smirnov, Cramér-von Mises and related statistics without
    extensive tables": good to three digits from sizes of about 10.
    """
    root = (first * second / (first + second)) ** 0.5
    scaled = (root + 0.12 + 0.11 / root) * distance
    if scaled < 0.2:
        return 1.0  # where the series needs more terms, it is 1 to nine digits
    signs = np.where(_TERMS % 2 == 1, 2.0, -2.0)
    return float(np.clip(signs @ np.exp(-2 * (_TERMS * scaled) ** 2), 0, 1))
