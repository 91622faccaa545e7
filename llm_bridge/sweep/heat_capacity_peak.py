"""Where the heat capacity of a model is largest, with errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thermo.errors import InvalidInputError
from thermo.estimate.autocorrelation import rounded_to_error
from thermo.estimate.jackknife import block_means, jackknife
from thermo.temperature import temperature_from_beta

__all__ = ["HeatCapacityPeak", "heat_capacity_peak"]

FloatArray = NDArray[np.float64]

_BLOCKS = 20


@dataclass(frozen=True)
class HeatCapacityPeak:
    """The peak of a mean heat capacity on one side of β = 0.

    Attributes
    ----------
    beta, beta_error : float
        Where, in 1/nat.
    height, height_error : float
        C/k per position.
    """

    beta: float
    beta_error: float
    height: float
    height_error: float

    def __str__(self) -> str:
        return (
            f"β = {rounded_to_error(self.beta, self.beta_error)} "
            f"(T = {float(temperature_from_beta(self.beta)):.3g}), "
            f"C = {rounded_to_error(self.height, self.height_error)} k"
        )


def heat_capacity_peak(
    beta: FloatArray, heat_capacity: FloatArray, sign: int = 1
) -> HeatCapacityPeak | None:
    r"""The peak of the heat capacity averaged over positions, at β of one sign.

    The top of the parabola in :math:`\ln|\beta|` through the highest point of the mean curve and
    its neighbours; errors by leaving out one of 20 stretches of the text at a time.

    Parameters
    ----------
    beta : ndarray, shape (B,)
        Inverse temperatures in any order, dense around the peak; 0 and ±inf are passed over.
    heat_capacity : ndarray, shape (N, B)
        C of every position, in the order of the text.
    sign : {1, -1}
        Which side.

    Returns
    -------
    HeatCapacityPeak or None
        None without a peak: a flat spectrum, or the largest value at the end of the grid.

    Raises
    ------
    InvalidInputError
        Fewer than 40 positions: two for each stretch.

    Notes
    -----
    It is the peak of the mean, not the mean of peaks: every position has its own, and where they
    lie far apart the peak of the mean is lower and broader than any of them. The positions of a
    stretch should be many more than those over which C is correlated.

    Examples
    --------
    Two levels with a gap of 2 (a Schottky anomaly), at every position the same:

    >>> from llm_bridge.spectrum import thermodynamics
    >>> beta = np.geomspace(0.1, 10, 200)
    >>> peak = heat_capacity_peak(beta, thermodynamics([[1.0, -1.0]] * 40, beta).heat_capacity)
    >>> round(peak.beta, 3), round(peak.height, 3), round(peak.height_error, 9)
    (1.2, 0.439, 0.0)
    """
    if heat_capacity.shape[0] < 2 * _BLOCKS:
        raise InvalidInputError(
            f"the heat capacity of {heat_capacity.shape[0]} positions was given; accepted: at "
            f"least {2 * _BLOCKS}, for an error."
        )
    kept = np.flatnonzero((np.sign(beta) == sign) & np.isfinite(beta))
    kept = kept[np.argsort(np.abs(beta[kept]))]
    where, curves = np.log(np.abs(beta[kept])), heat_capacity[:, kept]
    top = int(np.argmax(curves.mean(axis=0))) if kept.size else 0
    if not 0 < top < kept.size - 1 or curves[:, top].max() <= 0:
        return None

    def vertex(mean: FloatArray) -> FloatArray:
        k = min(max(int(np.argmax(mean)), 1), mean.size - 2)
        x, y = where[k - 1 : k + 2] - where[k], mean[k - 1 : k + 2]
        a, b, c = np.polyfit(x, y, 2)
        shift = float(np.clip(-b / (2 * a) if a < 0 else 0.0, x[0], x[-1]))
        return np.array([where[k] + shift, c + b * shift + a * shift**2])

    found = jackknife(vertex, block_means(curves.T[:, None, :], _BLOCKS))
    size = float(np.exp(found.value[0]))
    return HeatCapacityPeak(
        beta=sign * size,
        beta_error=size * float(found.error[0]),
        height=float(found.value[1]),
        height_error=float(found.error[1]),
    )
