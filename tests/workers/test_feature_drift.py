"""A worker notices that listings look otherwise than they did, without a single label."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from artefacts.graphs import Floats
from workers.feature_drift import FeatureDrift, Reference, ks_chance, ks_distance
from workers.metrics import WorkerMetrics

DIMENSIONS = 24


class Watcher:
    """A worker's eye on features, which come in windows of sixteen."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self._folder = folder
        self._chance = np.random.default_rng(seed)
        self.begin()

    def begin(self) -> None:
        """Start, or start again."""
        self.metrics = WorkerMetrics()
        self.drift = FeatureDrift(self._folder, self.metrics)

    def sees(self, count: int, shift: float = 0.0, encoder: str = "a" * 64) -> None:
        """Some listings; the first directions vary most, and one of them moves."""
        scales = np.linspace(3, 0.5, DIMENSIONS)
        for _ in range(count // 16):
            features = self._chance.normal(0, 1, (16, DIMENSIONS)) * scales
            features[:, 1] += shift
            self.drift.observe(encoder, [features.astype(np.float32)])

    @property
    def chance(self) -> float:
        """What the metric says."""
        name = "roomstream_worker_feature_chance_ratio"
        return self.metrics.registry.get_sample_value(name) or 0.0

    @property
    def distance(self) -> float:
        """And how far it is."""
        name = "roomstream_worker_feature_distance_ratio"
        return self.metrics.registry.get_sample_value(name) or 0.0


@pytest.fixture
def watcher(tmp_path: Path) -> Watcher:
    return Watcher(tmp_path / "cache")


def test_nothing_is_said_before_there_is_enough(watcher: Watcher) -> None:
    """First a reference, then as many listings as are compared."""
    watcher.sees(1_400)

    assert math.isnan(watcher.chance)
    assert watcher.distance == 0


def test_the_same_traffic_raises_no_alarm(watcher: Watcher) -> None:
    """The smallest chance in many looks is far from what alerts ask for."""
    watcher.sees(1_600)
    chances = []
    for _ in range(40):
        watcher.sees(160)
        chances.append(watcher.chance)

    assert min(chances) > 1e-4
    assert watcher.distance < 0.15


def test_other_traffic_is_seen(watcher: Watcher) -> None:
    """Listings that moved along one direction of twenty-four, within 500 of them; and so is their end."""
    watcher.sees(1_600)
    watcher.sees(512, shift=3.0)
    moved, far = watcher.chance, watcher.distance
    watcher.sees(640)

    assert moved < 1e-6
    assert far > 0.2
    assert watcher.chance > 1e-3


def test_a_restart_keeps_the_reference(watcher: Watcher) -> None:
    """Or a worker that starts again in the midst of a drift would take it for normal."""
    watcher.sees(1_100)
    watcher.begin()
    watcher.sees(640, shift=3.0)

    assert watcher.chance < 1e-6


def test_another_encoder_has_a_reference_of_its_own(watcher: Watcher) -> None:
    """Its features mean something else."""
    watcher.sees(1_600)
    watcher.sees(1_600, shift=5.0, encoder="b" * 64)

    assert watcher.chance > 1e-4


def test_a_damaged_or_unwritable_reference_harms_nobody(tmp_path: Path) -> None:
    """It begins afresh; a folder that is a file keeps nothing."""
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / f"features-{'a' * 64}.npz").write_bytes(b"rubbish")
    watcher = Watcher(folder)
    watcher.sees(1_600)
    file = tmp_path / "file"
    file.touch()
    other = Watcher(file)
    other.sees(1_600)

    assert watcher.chance > 1e-4
    assert other.chance > 1e-4


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.3])
def test_it_agrees_with_scipy(shift: float) -> None:
    """Distance to the last digit, chance within its approximation."""
    generator = np.random.default_rng(1)
    first, second = generator.normal(0, 1, 1_000), generator.normal(shift, 1, 500)
    expected = stats.ks_2samp(first, second, method="asymp")
    distance = ks_distance(np.sort(first), np.sort(second))

    assert distance == pytest.approx(expected.statistic)
    assert ks_chance(distance, 1_000, 500) == pytest.approx(expected.pvalue, rel=0.15, abs=1e-9)


def test_components_are_those_of_most_variance() -> None:
    """In order, whatever the mean."""
    features: Floats = np.random.default_rng(2).normal(5, 1, (2_000, 12)).astype(np.float32)
    features[:, 7] *= 6
    features[:, 3] *= 4
    reference = Reference.of(features)
    first, second = np.abs(reference.components[:2]).argmax(axis=1)

    assert (first, second) == (7, 3)
    assert np.allclose(reference.components @ reference.components.T, np.eye(8), atol=1e-5)
    assert np.abs(reference.project(features).mean(axis=0)).max() < 1e-2
