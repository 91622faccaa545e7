"""Estimators on plain arrays: errors of correlated series, derived quantities, reweighting.

Derived quantities are in `thermo.estimate.jackknife`, densities of states from many runs in
`thermo.estimate.reweighting`.
"""

from __future__ import annotations

from thermo.estimate.autocorrelation import MeanWithError, mean_with_error, split_rhat

__all__ = ["MeanWithError", "mean_with_error", "split_rhat"]
