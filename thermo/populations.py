"""Populations of energy levels, canonical or not."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.arguments import as_real
from thermo.errors import InvalidInputError
from thermo.levels import EnergyLevels, require_levels

__all__ = ["Populations"]


@dataclass(frozen=True, eq=False)
class Populations:
    r"""Probabilities of energy levels, on any number of leading axes.

    The canonical distribution is one special case; pumping, inversion, truncated decoding and
    weight noise give populations that are *not* canonical.

    Parameters
    ----------
    levels : EnergyLevels
        The levels, L of them.
    probabilities : array_like, shape (..., L)
        Probability of each *level* (all its g states together), summing to 1 on the last axis
        within 1e-6 (a float32 softmax does) and stored with the sum made exact: otherwise
        the mean energy would change with the gauge by more than the gauge.
        Leading axes are time, position, context or disorder realisation.
    samples : array_like, shape (...), optional
        Effective number of independent samples behind the probabilities, for errors; None if
        they are exact.
    provenance : str, optional
        Where the numbers come from; default: a hash of them.

    Raises
    ------
    InvalidInputError
        Wrong shape, negative or NaN probability, or a sum further than 1e-6 from 1.

    Examples
    --------
    >>> levels = EnergyLevels([0.0, 1.0])
    >>> inverted = Populations(levels, [0.2, 0.8])
    >>> inverted.internal_energy, inverted.is_inverted
    (array(0.8), array(True))
    """

    levels: EnergyLevels
    probabilities: NDArray[np.float64]
    samples: NDArray[np.float64] | None = field(default=None, kw_only=True)
    provenance: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        require_levels(self.levels)
        p = np.array(as_real(self.probabilities, "probabilities"))
        if p.ndim == 0 or p.shape[-1] != len(self.levels):
            raise InvalidInputError(
                f"probabilities have shape {p.shape}; (..., {len(self.levels)}) is needed, "
                "one number per level on the last axis."
            )
        if not (p >= 0).all():
            raise InvalidInputError("a probability is negative or NaN; numbers ≥ 0 are accepted.")
        total = p.sum(axis=-1, keepdims=True)
        off = float(np.abs(total - 1.0).max(initial=0.0))
        if not off <= 1e-6:
            raise InvalidInputError(
                f"probabilities sum to 1 only within {off:.3g}; they must sum to 1 on the last "
                "axis (for counts use Populations.from_counts)."
            )
        p /= total
        p.flags.writeable = False
        object.__setattr__(self, "probabilities", p)
        if self.samples is not None:
            n = as_real(self.samples, "samples")
            if not (n > 0).all():
                raise InvalidInputError("samples must be positive numbers.")
            try:
                n = np.broadcast_to(n, p.shape[:-1])
            except ValueError as error:
                raise InvalidInputError(
                    f"samples have shape {n.shape}; the leading axes {p.shape[:-1]} of the "
                    "probabilities are needed."
                ) from error
            object.__setattr__(self, "samples", n)
        if not self.provenance:
            digest = blake2b(p.tobytes(), digest_size=8).hexdigest()
            object.__setattr__(self, "provenance", f"populations:{digest}")

    @classmethod
    def from_counts(
        cls, levels: EnergyLevels, counts: ArrayLike, *, ess: ArrayLike | None = None
    ) -> Populations:
        """Populations measured by counting how often each level was seen.

        Parameters
        ----------
        levels : EnergyLevels
            L levels.
        counts : array_like, shape (..., L)
            Non-negative counts, at least one in all on the last axis.
        ess : array_like, shape (...), optional
            Effective number of independent samples, if the draws were correlated; default: the
            number of counts.

        Returns
        -------
        Populations

        Raises
        ------
        InvalidInputError
            Negative counts or none at all.

        Examples
        --------
        >>> Populations.from_counts(EnergyLevels([0, 1]), [30, 10]).probabilities
        array([0.75, 0.25])
        """
        require_levels(levels)
        c = as_real(counts, "counts")
        if c.ndim == 0 or c.shape[-1] != len(levels):
            raise InvalidInputError(
                f"counts have shape {c.shape}; (..., {len(levels)}) is needed, one per level."
            )
        if not (c >= 0).all() or not np.isfinite(c).all():
            raise InvalidInputError("counts must be finite numbers ≥ 0.")
        total = c.sum(axis=-1)
        if not (total > 0).all():
            raise InvalidInputError("no counts at all; at least one sample is needed.")
        samples = total if ess is None else as_real(ess, "ess")
        return cls(levels, c / total[..., None], samples=samples)

    @property
    def internal_energy(self) -> NDArray[np.float64]:
        """Mean energy Σ p E, shape (...)."""
        return np.asarray(self.probabilities @ self.levels.energies)

    @property
    def entropy(self) -> NDArray[np.float64]:
        r"""Entropy over states, :math:`S = -\sum_i p_i \ln(p_i/g_i)` in nats, shape (...)."""
        return np.asarray(self.probabilities @ self.levels.log_degeneracy - self.sum_p_log_p)

    @property
    def sum_p_log_p(self) -> NDArray[np.float64]:
        """Σ p ln p over levels (0 ln 0 = 0), shape (...)."""
        p = self.probabilities
        return np.asarray((p * np.log(np.where(p > 0, p, 1.0))).sum(axis=-1))

    @property
    def log_occupation(self) -> NDArray[np.float64]:
        r"""ln(p/g), the ordinate of a Boltzmann plot, shape (..., L); −inf where p = 0.

        Against energy it is a straight line of slope −β exactly if the populations are canonical.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.probabilities) - self.levels.log_degeneracy

    @property
    def is_inverted(self) -> NDArray[np.bool_]:
        """Whether ln(p/g) rises with energy on balance (β of the best line < 0), shape (...).

        The best line in the sense of :func:`thermo.fit_beta`: β < 0 exactly if the mean energy
        exceeds that of equal occupation of all states, by more than rounding.
        """
        levels = self.levels
        equal = np.exp(levels.log_degeneracy - levels.log_degeneracy.max())
        excess = (self.probabilities - equal / equal.sum()) @ (levels.energies - levels.minimum)
        return np.asarray(excess > 1e-13 * (levels.maximum - levels.minimum))

    def mean(self) -> Populations:
        """The mixture over all leading axes, as one distribution of shape (L,).

        Do not confuse it with the typical member: the entropy of the mean is at least the mean
        of the entropies, and the difference is the disagreement of the members.
        """
        flat = self.probabilities.reshape(-1, len(self.levels))
        return Populations(self.levels, flat.mean(axis=0), provenance=f"mean of {self.provenance}")
