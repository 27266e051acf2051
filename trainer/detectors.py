"""
Two detectors of river that watch one prequential error, and how they are kept.

HDDM_W (Frías-Blanco et al. 2015, "Online and non-parametric drift detection methods based on Hoeffding's
bounds") and Page-Hinkley (Page 1954, "Continuous inspection schemes"). river writes neither of them down,
so that this module knows their attributes: those that decide whether an error has risen.
"""

from typing import Self

import msgspec
from river.drift import PageHinkley
from river.drift.binary import HDDMW
from river.drift.binary.hddm_w import SampleInfo
from river.stats import Mean

# Simulated: less than one false alarm in 10,000 labels up to an error of 45%; a rise from 15% to 50% is
# seen within 75 labels, one to 40% within 103 in nine of ten cases.
_CONFIDENCE, _WEIGHT = 1e-5, 0.02
_RISE, _THRESHOLD, _LEAST = 0.07, 14.0, 30


class _Sample(msgspec.Struct, frozen=True, array_like=True):
    """What HDDM_W knows of some labels: whether there were any, their mean and its bound condition."""

    begun: bool
    mean: float
    condition: float


class _State(msgspec.Struct, frozen=True, array_like=True):
    total: _Sample
    before: _Sample
    after: _Sample
    cut: float
    labels: float
    mean: float
    rise: float
    least_rise: float


class Detectors:
    """Both detectors, new."""

    def __init__(self) -> None:
        self._hddm = HDDMW(_CONFIDENCE, _CONFIDENCE, _WEIGHT)
        self._page_hinkley = PageHinkley(_LEAST, _RISE, _THRESHOLD, alpha=1.0, mode="up")

    def add(self, wrong: bool) -> str | None:
        """Take in whether a prediction was wrong; the detector that sees a rise by it."""
        self._hddm.update(int(wrong))
        self._page_hinkley.update(int(wrong))
        if self._hddm.drift_detected:
            return "HDDM_W"
        return "Page-Hinkley" if self._page_hinkley.drift_detected else None

    def state(self) -> bytes:
        """All that they remember; they have seen no rise yet."""
        hddm, page_hinkley = self._hddm, self._page_hinkley
        return msgspec.msgpack.encode(  # JSON knows no infinity
            _State(
                total=_kept(hddm._total),
                before=_kept(hddm._s1_incr),
                after=_kept(hddm._s2_incr),
                cut=hddm._incr_cutpoint,
                labels=page_hinkley._x_mean.n,
                mean=page_hinkley._x_mean.get(),
                rise=page_hinkley._sum_increase,
                least_rise=page_hinkley._min_increase,
            )
        )

    @classmethod
    def from_state(cls, kept: bytes) -> Self:
        """Go on where others were."""
        state, new = msgspec.msgpack.decode(kept, type=_State), cls()
        hddm, page_hinkley = new._hddm, new._page_hinkley
        _restore(hddm._total, state.total)
        _restore(hddm._s1_incr, state.before)
        _restore(hddm._s2_incr, state.after)
        hddm._incr_cutpoint = state.cut
        page_hinkley._x_mean = Mean._from_state(state.labels, state.mean)
        page_hinkley._sum_increase = state.rise
        page_hinkley._min_increase = state.least_rise
        return new


def _kept(sample: SampleInfo) -> _Sample:
    return _Sample(sample.is_init, sample.ewma, sample.ibc)


def _restore(sample: SampleInfo, kept: _Sample) -> None:
    if kept.begun:
        sample.update(kept.mean)  # a weighted mean begins with its first value
    sample._ibc = kept.condition
