"""A medium between mirrors: a mode of light, its steady states, their stability, its linewidth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.arguments import as_real, finite_number, shown
from thermo.errors import InvalidInputError
from thermo.laboratory.laser_medium import LaserMedium
from thermo.populations import Populations

__all__ = ["LaserCavity", "SteadyLight"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SteadyLight:
    """Steady states of a laser, one for each pump.

    Attributes
    ----------
    pump : ndarray, shape (...)
        W in 1/time.
    photons : ndarray, shape (...)
        In the mode.
    populations : Populations
        Of shape (..., L).
    inversion : ndarray, shape (...)
        Of the laser line, per atom.
    linewidth : ndarray, shape (...)
        Full width at half maximum in 1/time (hertz where time is in seconds).
    """

    pump: FloatArray
    photons: FloatArray
    populations: Populations
    inversion: FloatArray
    linewidth: FloatArray


@dataclass(frozen=True, eq=False)
class LaserCavity:
    r"""N atoms and one mode of light that leaves through a mirror.

    With p the populations of the atoms, q the photons in the mode and Δ the inversion per atom,

    .. math::
        \dot p = M(W, \kappa q)\,p, \qquad
        \dot q = N\kappa\,(\Delta\,q + p_u) - \frac{q}{\tau_c}, \qquad \kappa = bA.

    κ is what *one* photon stimulates. Einstein's relation leaves no choice in it: a mode with q
    photons is emitted into q + 1 times as often as an empty one, so that κ is the part b of the
    spontaneous decay A that goes into the mode. The laser starts where gain pays for loss,

    .. math:: N\kappa\,\Delta_{\rm th} = 1/\tau_c,

    and stays at this inversion however strong the pump: it clamps.

    Parameters
    ----------
    medium : LaserMedium
    atoms : float
        N, positive.
    spontaneous_fraction : float
        b, 0 < b ≤ 1: 1e-5 and less, but for lasers as small as a wavelength.
    photon_lifetime : float
        τ_c, in the medium's unit of time.

    Raises
    ------
    InvalidInputError

    Notes
    -----
    An uninverted line in a mode without loss fills it to q = 1/(e^{βhν} − 1), the number of photons
    in equilibrium at the line's own β. At β < 0 the same formula is negative: light is an
    oscillator, which has no highest energy and no negative temperature. It grows until its loss,
    or the inversion that it uses up, stops it, and this is a laser.

    References
    ----------
    A. E. Siegman, Lasers (1986), chapters 13, 24 and 25; A. L. Schawlow, C. H. Townes, Phys. Rev.
    112, 1940 (1958); M. Lax in Physics of Quantum Electronics (1966), p. 735.

    Examples
    --------
    >>> from thermo.laboratory.laser_medium import laser_medium
    >>> laser = LaserCavity(laser_medium(4), 1e10, 1e-6, 1e-3)
    >>> round(laser.threshold_inversion, 6), round(float(laser.threshold_pump), 3)
    (0.1, 0.111)
    >>> steady = laser.steady([0.05, 0.2, 0.5])
    >>> steady.inversion.round(4)
    array([0.0476, 0.1   , 0.1   ])
    """

    medium: LaserMedium
    atoms: float
    spontaneous_fraction: float
    photon_lifetime: float

    def __post_init__(self) -> None:
        if not isinstance(self.medium, LaserMedium):
            raise InvalidInputError(
                f"medium = {shown(self.medium)} was given; accepted: a LaserMedium (laser_medium "
                "makes those of 2, 3 and 4 levels)"
            )
        for name in ("atoms", "spontaneous_fraction", "photon_lifetime"):
            object.__setattr__(self, name, finite_number(getattr(self, name), name, positive=True))
        if self.spontaneous_fraction > 1.0:
            raise InvalidInputError(
                f"spontaneous_fraction = {self.spontaneous_fraction:g} was given; accepted: a part "
                "of the decay, above 0 and at most 1"
            )

    @property
    def coupling(self) -> float:
        """κ, what one photon stimulates, in 1/time."""
        return self.spontaneous_fraction * self.medium.line_rate

    @property
    def threshold_inversion(self) -> float:
        """Δ_th, per atom, at which gain is loss; a medium that cannot reach it never lases."""
        return 1.0 / (self.atoms * self.coupling * self.photon_lifetime)

    @property
    def threshold_pump(self) -> float:
        """W, in 1/time, at which the medium without laser light has the inversion Δ_th."""
        return self.medium.pump_for(self.threshold_inversion)

    def steady(self, pump: ArrayLike) -> SteadyLight:
        r"""The steady state at each pump: there is exactly one with q ≥ 0, and it is stable.

        Since light lowers the inversion as Δ(κq) = Δ(0)/(1 + cκq), exactly, q solves a quadratic
        equation whose constant term is not positive. Its linewidth is that of light to which each
        spontaneous photon adds a step in a random direction,

        .. math:: \Delta\nu = \frac{R}{4\pi q} = \pi\,\frac{p_u}{\Delta_{\rm th}}\,
            \frac{h\nu\,\Delta\nu_c^2}{P}, \qquad R = N\kappa p_u, \quad
            \Delta\nu_c = \frac{1}{2\pi\tau_c}, \quad P = \frac{h\nu\,q}{\tau_c}

        above threshold, where only the phase wanders (Lax), and twice that below. All widths are
        full ones; Schawlow and Townes have half widths, no p_u/Δ_th and, having no threshold, twice
        as much: their formula in full widths is 2πhνΔν_c²/P. The passage at threshold, where
        neither holds, is not described.

        Parameters
        ----------
        pump : array_like, any shape
            W ≥ 0 in 1/time.

        Returns
        -------
        SteadyLight

        Raises
        ------
        InvalidInputError
            A pump that is negative or not finite.
        """
        w = as_real(pump, "pump")
        photons = np.zeros(w.shape)
        dark = self.medium.populations(w)
        for index in np.ndindex(w.shape):
            photons[index] = self._photons(float(w[index]), dark.probabilities[index])
        populations = self.medium.populations(w, self.coupling * photons)
        emitted = self.atoms * self.coupling * populations.probabilities[..., self._upper]
        width = emitted / (4.0 * math.pi * np.where(photons > 0.0, photons, np.inf))
        inversion = self.medium.inversion(populations)
        empty = photons == 0.0  # no light: the width of the cavity with its absorbing medium
        loss = 1.0 / self.photon_lifetime - self.atoms * self.coupling * inversion
        return SteadyLight(
            pump=w,
            photons=photons,
            populations=populations,
            inversion=inversion,
            linewidth=np.where(
                empty, loss / (2.0 * math.pi), np.where(w > self.threshold_pump, 1.0, 2.0) * width
            ),
        )

    def power(self, photons: ArrayLike) -> FloatArray:
        """Output in quanta hν per time; all of the cavity's loss counts as output."""
        return as_real(photons, "photons") / self.photon_lifetime

    def rates(self, pump: float, state: FloatArray) -> FloatArray:
        """d/dt of (p, q), shape (L + 1,), at a pump ≥ 0."""
        p, q = state[:-1], state[-1]
        gain = self.atoms * self.coupling
        inversion = self.medium.inversion_weights @ p
        light = gain * (inversion * q + p[self._upper]) - q / self.photon_lifetime
        return np.append(self._flow(pump, q) @ p, light)

    def jacobian(self, pump: float, state: FloatArray) -> FloatArray:
        """Derivatives of `rates` by (p, q), shape (L + 1, L + 1)."""
        p, q = state[:-1], state[-1]
        lower, upper = self.medium.laser_line
        gain = self.atoms * self.coupling
        weights = self.medium.inversion_weights
        inversion = weights @ p
        size = p.size
        matrix = np.zeros((size + 1, size + 1))
        matrix[:size, :size] = self._flow(pump, q)
        matrix[lower, size] = self.coupling * inversion
        matrix[upper, size] = -self.coupling * inversion
        matrix[size, :size] = gain * q * weights
        matrix[size, upper] += gain
        matrix[size, size] = gain * inversion - 1.0 / self.photon_lifetime
        return matrix

    def eigenvalues(self, pump: float) -> NDArray[np.complex128]:
        """Rates of decay of small disturbances of the steady state, shape (L,), slowest first.

        Stable if every real part is negative; a pair with imaginary parts ±ω oscillates. That the
        populations sum to 1 has been used, so that the rate 0 of their sum is not among them. Slow
        ones keep their digits beside fast ones.
        """
        steady = self.steady(pump)
        state = np.append(steady.populations.probabilities, steady.photons)
        whole = self.jacobian(finite_number(pump, "pump"), state)
        reduced = whole[1:, 1:].copy()
        reduced[:, :-1] -= whole[1:, :1]  # p₀ = 1 − the others
        values = _eigenvalues(reduced)
        return values[np.lexsort((values.imag, -values.real))]

    def _flow(self, pump: float, photons: float) -> FloatArray:
        # Not by `LaserMedium.flow` alone: a solver may try a number of photons below 0.
        medium = self.medium
        return medium.flow(pump, 0.0) + self.coupling * photons * medium.light_flow

    @property
    def _upper(self) -> int:
        return self.medium.laser_line[1]

    def _photons(self, pump: float, dark: FloatArray) -> float:
        """The root of a quadratic equation, found without a difference of large numbers."""
        medium, gain = self.medium, self.atoms * self.coupling
        upper = self._upper
        inversion = float(medium.inversion_weights @ dark)
        c = self.coupling * medium.saturation(pump)
        # p_u = (p_u(0) + c q p_u(∞)) / (1 + c q), with p_u(∞) from light of any one strength
        some = medium.populations(pump, medium.line_rate).probabilities[upper]
        times = medium.saturation(pump) * medium.line_rate
        full = (some * (1.0 + times) - dark[upper]) / times
        loss = 1.0 / self.photon_lifetime
        square = c * loss
        linear = gain * (inversion + c * full) - loss
        constant = gain * dark[upper]
        if constant == 0.0:
            return 0.0
        root = math.sqrt(linear * linear + 4.0 * square * constant)
        return (
            (linear + root) / (2.0 * square) if linear > 0.0 else 2.0 * constant / (root - linear)
        )


def _eigenvalues(matrix: FloatArray) -> NDArray[np.complex128]:
    """Eigenvalues of a matrix with slow rates and fast ones, to the digits of each.

    Of a matrix those of large size are good to rounding and of its inverse those of small size; the
    widest gap between them is where to change over.
    """
    large, inverse = np.linalg.eigvals(matrix), np.linalg.eigvals(np.linalg.inv(matrix))
    fast, slow = (values[np.argsort(np.abs(values))] for values in (large, 1.0 / inverse))
    number = 1 + int(np.argmax(np.diff(np.log(np.abs(fast)))))
    return np.append(slow[:number], fast[number:]).astype(np.complex128)
