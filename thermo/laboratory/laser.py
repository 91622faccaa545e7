"""Lasers of two, three and four levels: inversion, threshold, clamping, ringing, temperature."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from thermo.arguments import finite_number
from thermo.errors import InvalidInputError
from thermo.laboratory.finding import Experiment, Finding
from thermo.laboratory.laser_cavity import LaserCavity, SteadyLight
from thermo.laboratory.laser_medium import laser_medium
from thermo.laboratory.laser_transient import LaserTransient, switch_on
from thermo.physical_units import EnergyUnit
from thermo.thermometry import fit_beta

__all__ = ["Laser", "laser"]

FloatArray = NDArray[np.float64]

_LIGHT = 299792458.0  # c in m/s, exact
_SCHEMES = (2, 3, 4)
_SCAN = np.logspace(-2.0, 2.0, 161)  # Wτ
_SETTLED = 14.0  # decays of the slowest disturbance: spikes ten times too high come down to 1e-5


@dataclass(frozen=True, eq=False)
class Laser(Experiment):
    """What :func:`laser` returns. Schemes of 2, 3 and 4 levels are rows; time is in that of τ.

    Attributes
    ----------
    levels : int
        Of the laser that was switched on.
    lifetime, fast_lifetime, photon_lifetime : float
        τ, θ and τ_c.
    atoms, spontaneous_fraction : float
        N and b.
    wavelength : float or None
        In metres; time is in seconds then.
    scan : ndarray, shape (P,)
        Wτ, for:
    dark_inversion, dark_beta : ndarray, shape (3, P)
        Inversion per atom, and βhν of the laser line, without mirrors.
    inversion, lit_beta, photons, linewidth : ndarray, shape (3, P)
        With mirrors, in the steady state; per atom, of the line, in the mode, in 1/time.
    threshold_pump : ndarray, shape (3,)
        Wτ at which it lases; inf for one that never does.
    threshold_inversion : float
        Δ_th, at which it clamps.
    pump : float
        Wτ of the laser that was switched on.
    transient : LaserTransient
        What it did.
    steady : SteadyLight
        Where it ends: scalars, and populations of shape (levels,).
    eigenvalues : ndarray, shape (levels,)
        Of its steady state: rates at which disturbances decay, complex if they ring.
    beta : float
        Of its laser line in the steady state, in 1/hν.
    atom_beta, misfit : float
        The one β that fits all its levels best, and by how many nats its populations lack the
        entropy of that equilibrium: there is none in a pumped atom.
    slope : float
        Photons that leave it for each pump photon beyond threshold; NaN without a threshold.
    """

    name: ClassVar[str] = "laser"

    levels: int
    lifetime: float
    fast_lifetime: float
    photon_lifetime: float
    atoms: float
    spontaneous_fraction: float
    wavelength: float | None
    scan: FloatArray
    dark_inversion: FloatArray
    dark_beta: FloatArray
    inversion: FloatArray
    lit_beta: FloatArray
    photons: FloatArray
    linewidth: FloatArray
    threshold_pump: FloatArray
    threshold_inversion: float
    pump: float
    transient: LaserTransient
    steady: SteadyLight
    eigenvalues: NDArray[np.complex128]
    beta: float
    atom_beta: float
    misfit: float
    slope: float

    @property
    def findings(self) -> tuple[Finding, ...]:
        w = self.scan[-1]
        at = int(np.argmin(np.abs(self.scan - 3.0)))
        x = self.scan[at]
        two, three, four = self.dark_inversion
        found = (
            Finding(f"2 levels, largest ΔN/N up to Wτ = {w:g}", float(two.max()),
                    expected=-1.0 / (1.0 + 2.0 * w), source="−1/(1 + 2Wτ) < 0"),
            Finding(f"3 levels, ΔN/N at Wτ = {x:.3g}", float(three[at]),
                    expected=(x - 1.0) / (x + 1.0), source="(Wτ−1)/(Wτ+1), for θ → 0"),
            Finding(f"4 levels, ΔN/N at Wτ = {x:.3g}", float(four[at]),
                    expected=x / (1.0 + x), source="Wτ/(1+Wτ), for θ → 0"),
            *self._lasing(),
            Finding(f"β of the laser line, {self.levels} levels, Wτ = {self.pump:.3g}", self.beta,
                    unit="1/hν", source="−ln(n_u g_l / n_l g_u) / hν"),
            Finding("linewidth, by that of the cavity",
                    float(self.steady.linewidth) * 2.0 * math.pi * self.photon_lifetime,
                    source="spontaneous emission (Schawlow, Townes; Lax)"),
            *self._in_kelvin(),
            Finding("β that fits all levels best", self.atom_beta, unit="1/hν"),
            Finding("misfit of that equilibrium", self.misfit, unit="nats",
                    source="0 where there is one"),
        )  # fmt: skip
        # No atom in either level of the line has no temperature, and few extrema have no ω.
        return tuple(finding for finding in found if not math.isnan(finding.value))

    def _lasing(self) -> tuple[Finding, ...]:
        threshold = float(self.threshold_pump[_SCHEMES.index(self.levels)])
        delta = self.threshold_inversion
        if not math.isfinite(threshold):
            return (Finding(f"{self.levels} levels, photons at Wτ = {self.pump:.3g}",
                            float(self.steady.photons), source="never lases"),)  # fmt: skip
        ideal = {3: (1.0 + delta) / (1.0 - delta), 4: delta / (1.0 - delta)}
        starts = Finding(
            f"{self.levels} levels, threshold Wτ", threshold, expected=ideal[self.levels],
            source="where ΔN/N = τ/Nbτ_c, for θ → 0",
        )  # fmt: skip
        ratio = self.pump / threshold
        if ratio <= 1.0:
            return (starts,)
        return (
            starts,
            Finding(f"ΔN/N at r = {ratio:.3g} times threshold", float(self.transient.inversion[-1]),
                    expected=delta, source="clamps at threshold"),
            Finding("photons out per pump photon, beyond", self.slope, expected=1.0,
                    source="all that pumps beyond threshold lases, for θ, b → 0"),
            *self._ringing(ratio),
        )  # fmt: skip

    def _ringing(self, ratio: float) -> tuple[Finding, ...]:
        rings = self.eigenvalues[self.eigenvalues.imag > 0.0]
        if not rings.size:
            return ()
        delta, ring = self.threshold_inversion, complex(rings[0])
        omega, gamma = self.transient.ringing
        # For three levels every photon that is emitted changes ΔN by 2, and ΔN is not N_upper.
        factor = (1.0 + delta) / delta if self.levels == 3 else 1.0
        natural = math.sqrt(factor * (ratio - 1.0) / (self.lifetime * self.photon_lifetime))
        formula = "√((r−1)(1+Δ)/Δττ_c)" if self.levels == 3 else "√((r−1)/ττ_c)"
        return (
            Finding("ω₀ of the ringing, undamped", abs(ring), expected=natural, unit="1/time",
                    source=f"{formula}, for θ, b → 0"),
            Finding("ω of the ringing", omega, expected=ring.imag, unit="1/time",
                    source="linearised rates"),
            Finding("γ of the ringing", gamma, expected=-ring.real, unit="1/time",
                    source="linearised rates"),
        )  # fmt: skip

    def _in_kelvin(self) -> tuple[Finding, ...]:
        if self.wavelength is None:
            return ()
        unit = EnergyUnit.from_hertz(_LIGHT / self.wavelength)
        out = float(self.steady.photons) / self.photon_lifetime * unit.joule
        kelvin = math.nan if math.isnan(self.beta) else float(unit.kelvin(self.beta))
        return (
            Finding("T of the laser line", kelvin, unit="K"),
            Finding("output", out, unit="W"),
            Finding("linewidth", float(self.steady.linewidth), unit="Hz"),
        )  # fmt: skip


def laser(
    levels: int = 4,
    pump: float | None = None,
    *,
    lifetime: float = 1.0,
    fast_lifetime: float | None = None,
    photon_lifetime: float | None = None,
    atoms: float = 1e10,
    spontaneous_fraction: float = 1e-6,
    duration: float | None = None,
    wavelength: float | None = None,
) -> Laser:
    r"""Pump atoms of two, three and four levels, between mirrors and without, and switch one on.

    Inversion is a negative temperature of the laser line, and the gain has its sign: light passing
    atoms at β > 0 is absorbed, at β < 0 it grows. Two levels, pumped by light on their own line,
    never get beyond β = 0; three are inverted from Wτ = 1 on; four by any pump:

    .. math::
        \frac{\Delta N}{N} = \frac{-1}{1+2W\tau}, \quad \frac{W\tau-1}{W\tau+1}, \quad
        \frac{W\tau}{1+W\tau}.

    Between mirrors the inversion rises until gain is loss, and stays there: more pump is more
    light. Switched on, light and inversion chase each other. At r times threshold they ring with

    .. math:: \omega_0 = \sqrt{\frac{r-1}{\tau\tau_c}}, \qquad \gamma = \frac12\Bigl(\frac r\tau +
        W\Bigr), \qquad \omega = \sqrt{\omega_0^2 - \gamma^2}.

    Both hold for four levels, θ → 0 and b → 0: spontaneous emission into the mode makes the ringing
    faster, by a part of about b r/(r − 1)² (`LaserCavity.eigenvalues` has all of it). For three
    levels each emitted photon takes two of the inversion, and ω₀² has the factor (1 + Δ)/Δ at the
    inversion Δ of threshold.

    Parameters
    ----------
    levels : {2, 3, 4}
        Of the laser that is switched on; all three are compared.
    pump : float, optional
        Its Wτ, ≥ 0; default: twice its threshold, or 10 for one without.
    lifetime : float
        τ of the upper laser level; every time is in the same unit.
    fast_lifetime : float, optional
        θ of levels that empty quickly; default: τ/10⁵.
    photon_lifetime : float, optional
        τ_c; default: τ/1000.
    atoms : float
        N.
    spontaneous_fraction : float
        b, the part of the spontaneous emission that goes into the mode. With the defaults the
        inversion at threshold, τ/(N b τ_c), is 0.1.
    duration : float, optional
        How long the laser is followed; default: until its ringing is over.
    wavelength : float, optional
        Of the laser line in metres, for kelvins and watts; times are in seconds then.

    Returns
    -------
    Laser

    Raises
    ------
    InvalidInputError
        Numbers out of range, such as a negative pump or lifetime.

    Notes
    -----
    Not for what needs the coherence of atoms (a line narrower than the rates), several modes,
    inhomogeneous lines or a beam's shape. All levels are single states here; `LaserMedium` takes
    any degeneracies. How negative β is in four levels is a matter of how fast the lower laser level
    empties, βhν ≈ −ln(τ/θ) below threshold; in a real crystal heat fills it, too.

    References
    ----------
    A. E. Siegman, Lasers (1986); T. H. Maiman, Nature 187, 493 (1960).

    Examples
    --------
    >>> found = laser(4, photon_lifetime=1e-2, spontaneous_fraction=1e-7, duration=20.0)
    >>> for finding in found.findings[3:6]:
    ...     print(f"{finding.what}: {finding.value:.4f}, expected {finding.expected:.4f}")
    4 levels, threshold Wτ: 0.1111, expected 0.1111
    ΔN/N at r = 2 times threshold: 0.1000, expected 0.1000
    photons out per pump photon, beyond: 1.0000, expected 1.0000
    """
    tau = finite_number(lifetime, "lifetime", positive=True)
    tau_c = 1e-3 * tau if photon_lifetime is None else photon_lifetime
    theta = 1e-5 * tau if fast_lifetime is None else fast_lifetime
    laser_medium(levels, tau, theta)  # refuses numbers out of range
    if wavelength is not None:
        wavelength = finite_number(wavelength, "wavelength", positive=True)
    if duration is not None:
        duration = finite_number(duration, "duration", positive=True)
    media = [laser_medium(size, tau, theta) for size in _SCHEMES]
    cavities = [LaserCavity(medium, atoms, spontaneous_fraction, tau_c) for medium in media]
    thresholds = np.array([cavity.threshold_pump for cavity in cavities]) * tau
    chosen = _SCHEMES.index(levels)
    cavity, medium = cavities[chosen], media[chosen]
    if pump is None:
        pump = 2.0 * thresholds[chosen] if math.isfinite(thresholds[chosen]) else 10.0
    x = finite_number(pump, "pump")
    if x < 0.0:
        raise InvalidInputError(f"pump = {x:g} was given; accepted: Wτ ≥ 0")

    dark = [medium.populations(_SCAN / tau) for medium in media]
    lit = [cavity.steady(_SCAN / tau) for cavity in cavities]
    rates = cavity.eigenvalues(x / tau)
    steady = cavity.steady(x / tau)
    fit = fit_beta(steady.populations, medium.levels)
    return Laser(
        levels=levels,
        lifetime=tau,
        fast_lifetime=float(theta),
        photon_lifetime=float(tau_c),
        atoms=cavity.atoms,
        spontaneous_fraction=cavity.spontaneous_fraction,
        wavelength=wavelength,
        scan=_SCAN,
        dark_inversion=np.stack([m.inversion(p) for m, p in zip(media, dark, strict=True)]),
        dark_beta=np.stack([m.beta(p) for m, p in zip(media, dark, strict=True)]),
        inversion=np.stack([light.inversion for light in lit]),
        lit_beta=np.stack([m.beta(at.populations) for m, at in zip(media, lit, strict=True)]),
        photons=np.stack([light.photons for light in lit]),
        linewidth=np.stack([light.linewidth for light in lit]),
        threshold_pump=thresholds,
        threshold_inversion=cavity.threshold_inversion,
        pump=x,
        transient=switch_on(cavity, x / tau, duration or _SETTLED / abs(float(rates[0].real))),
        steady=steady,
        eigenvalues=rates,
        beta=float(medium.beta(steady.populations)),
        atom_beta=float(fit.beta),
        misfit=float(fit.residual),
        slope=_slope(cavity),
    )


def _slope(cavity: LaserCavity) -> float:
    """More photons out for more absorbed by the pump, between 2 and 4 times threshold."""
    threshold = cavity.threshold_pump
    if not math.isfinite(threshold):
        return math.nan
    steady = cavity.steady(np.array([2.0, 4.0]) * threshold)
    lower, upper = cavity.medium.pump_line
    p = steady.populations.probabilities
    absorbed = cavity.atoms * steady.pump * (p[:, lower] - p[:, upper])
    return float(np.diff(cavity.power(steady.photons))[0] / np.diff(absorbed)[0])
