"""Does a run look equilibrated?"""

from __future__ import annotations

import warnings

import numpy as np

from thermo.errors import EquilibrationWarning
from thermo.estimate.autocorrelation import split_rhat

__all__ = ["RHAT_LIMIT", "warn_if_not_equilibrated"]

# R̂² − 1 is about 1/(independent draws in half a chain): 1.05 means fewer than ten of them.
RHAT_LIMIT = 1.05


def warn_if_not_equilibrated(beta: np.ndarray, energy: np.ndarray) -> None:
    """Warn, naming the β, where the chains' energies drift or disagree.

    Parameters
    ----------
    beta : ndarray, shape (B,)
    energy : ndarray, shape (B, chain, draw)
        Fewer than 4 draws cannot be judged and pass.

    Warns
    -----
    EquilibrationWarning
        The split R̂ of the energy exceeds 1.05 somewhere.
    """
    if energy.shape[-1] < 4:
        return
    rhat = split_rhat(energy)
    bad = rhat > RHAT_LIMIT
    if bad.any():
        named = ", ".join(f"{b:.6g}" for b in beta[bad][:6]) + (", …" if bad.sum() > 6 else "")
        warnings.warn(
            f"the energies of the replicas drift or disagree at β = {named} (largest split "
            f"R̂ = {rhat.max():.3g}, limit {RHAT_LIMIT}): errors there are not to be trusted. "
            "Give more burn_in and sweeps, or start='ordered'.",
            EquilibrationWarning,
            stacklevel=3,
        )
