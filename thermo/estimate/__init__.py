"""Estimators on plain arrays: errors of correlated series, derived quantities, reweighting."""

from __future__ import annotations

from thermo.estimate.autocorrelation import MeanWithError, mean_with_error, split_rhat
from thermo.estimate.jackknife import JackknifeEstimate, block_means, jackknife

__all__ = [
    "MeanWithError",
    "mean_with_error",
    "split_rhat",
    "JackknifeEstimate",
    "jackknife",
    "block_means",
]
