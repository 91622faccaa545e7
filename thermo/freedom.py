r"""Degrees of freedom, each notion under its own name.

"Degrees of freedom" means different numbers to different people. Here each definition is one
function, and none is called simply "degrees of freedom":

================================ =========================== ====================================
definition                       formula                     where it counts something
================================ =========================== ====================================
:func:`kinetic_dof`              3N − constraints − removed  particles with momenta
:func:`equipartition_dof`        2U/kT                       energy quadratic in its variables
:func:`heat_capacity_dof`        2C/k                        a heat capacity, by another name
:func:`learning_dof`             2λ, V(ε) ∝ ε^λ              a lowest energy that states flow from
:func:`state_space_dof`          ln W / ln 2                 finitely many states: bits
:func:`effective_states`         exp(S/k)                    everywhere; perplexity
:func:`participation_ratio`      1/Σp²                       everywhere; weighs likely states more
================================ =========================== ====================================
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.arguments import as_real, whole_number
from thermo.canonical import Thermodynamics
from thermo.errors import InvalidInputError, UnboundedSpectrumError
from thermo.temperature import as_beta

__all__ = [
    "effective_states",
    "equipartition_dof",
    "heat_capacity_dof",
    "kinetic_dof",
    "learning_dof",
    "participation_ratio",
    "state_space_dof",
]


def kinetic_dof(
    particles: int,
    *,
    constraints: int = 0,
    dimension: int = 3,
    conserved_momenta: int | None = None,
) -> int:
    r"""Kinetic degrees of freedom, the f in :math:`T = 2K/(f k)`.

    .. math:: f = dN - n_{\rm constraints} - n_{\rm conserved}

    Parameters
    ----------
    particles : int
        Number N of particles with momentum.
    constraints : int
        Rigid constraints (one per fixed bond length).
    dimension : int
        Dimension d of space.
    conserved_momenta : int, optional
        Components of momentum held at zero; default ``dimension`` (centre of mass at rest).

    Returns
    -------
    int

    Raises
    ------
    InvalidInputError
        If nothing is left (f ≤ 0), or a number is negative or not whole.

    Notes
    -----
    Spins and logits have no momenta: for them this is not defined. A wrong f gives a temperature
    wrong by exactly the ratio of the two f. Kinetic energy has no upper bound, so this
    temperature is never negative.

    References
    ----------
    D. Frenkel and B. Smit, Understanding Molecular Simulation, 2nd ed. (2002), section 4.1.

    Examples
    --------
    100 rigid diatomics, centre of mass at rest:

    >>> kinetic_dof(200, constraints=100)
    497
    """
    removed = dimension if conserved_momenta is None else conserved_momenta
    for name, count in (
        ("particles", particles),
        ("constraints", constraints),
        ("dimension", dimension),
        ("conserved_momenta", removed),
    ):
        whole_number(count, name, 0)
    freedom = dimension * particles - constraints - removed
    if freedom <= 0:
        raise InvalidInputError(
            f"{dimension}·{particles} − {constraints} − {removed} = {freedom} degrees of freedom "
            "are left; at least 1 is needed to speak of a kinetic temperature."
        )
    return freedom


def equipartition_dof(quadratic_energy: ArrayLike, beta: ArrayLike) -> NDArray[np.float64]:
    r"""Quadratic modes counted by their energy, :math:`f = 2\beta U`.

    Parameters
    ----------
    quadratic_energy : array_like, shape (...)
        Mean energy above the minimum, of variables that enter it quadratically.
    beta : array_like, shape (...)
        Inverse temperature, > 0: a quadratic energy has no upper bound.

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    UnboundedSpectrumError
        β ≤ 0.
    InvalidInputError
        β NaN or +∞; an energy that is negative or not finite; shapes that do not fit.

    Notes
    -----
    Only for classical quadratic energies. For two-level systems, spin lattices and logits the
    result counts nothing; the functions there are :func:`heat_capacity_dof` and
    :func:`effective_states`.

    Examples
    --------
    A classical oscillator has U = kT: one coordinate and one momentum.

    >>> float(equipartition_dof(0.5, 2.0))
    2.0
    """
    b = _unbounded_beta(beta, "a quadratic energy")
    energy = as_real(quadratic_energy, "quadratic_energy")
    if not ((energy >= 0) & np.isfinite(energy)).all():
        raise InvalidInputError("quadratic_energy must be finite and ≥ 0, above its minimum.")
    try:
        return np.asarray(2.0 * b * energy)
    except ValueError as error:
        raise InvalidInputError(
            f"quadratic_energy has shape {energy.shape} and beta {b.shape}; they do not fit."
        ) from error


def heat_capacity_dof(state: Thermodynamics) -> NDArray[np.float64]:
    r"""Heat-capacity-equivalent degrees of freedom, :math:`2C/k`.

    How many quadratic modes would have this heat capacity. It depends on β (it vanishes at
    β = 0 and ±∞ for bounded spectra) and equals a count of modes only for quadratic energies.

    Parameters
    ----------
    state : Thermodynamics

    Returns
    -------
    ndarray, shape of ``state.beta``

    Examples
    --------
    >>> from thermo.canonical import canonical
    >>> from thermo.levels import EnergyLevels
    >>> heat_capacity_dof(canonical(EnergyLevels([0, 1]), [0.0, 2.4])).round(4)
    array([0.    , 0.8785])
    """
    return state.equivalent_dof


def learning_dof(excess_energy: ArrayLike, beta: float) -> NDArray[np.float64]:
    r"""Twice the learning coefficient, 2λ: how fast states open up above the lowest energy.

    Where the volume of states within ε of the minimum grows as :math:`V(\varepsilon) \propto
    \varepsilon^\lambda`, the canonical distribution of E is a Gamma distribution of shape λ. The
    most likely λ given draws of E solves

    .. math:: \psi(\lambda) = \langle \ln \beta E \rangle

    with the digamma function ψ.

    Parameters
    ----------
    excess_energy : array_like, shape (..., S)
        Independent draws of the energy above its minimum, of the canonical distribution at β.
    beta : float
        Inverse temperature, > 0 and finite: so cold that the power law holds within 1/β of the
        minimum. If a larger β gives another number, it was not.

    Returns
    -------
    ndarray, shape (...)
        2λ: for d quadratic variables it is d, for others it can be any positive number. Its
        standard error is :math:`2/\sqrt{\psi'(\lambda)\,S}`.

    Raises
    ------
    UnboundedSpectrumError
        β ≤ 0.
    InvalidInputError
        β NaN, +∞ or more than one; an energy that is not positive and finite.

    Notes
    -----
    Not for discrete levels: there V does not grow from the minimum, it steps. Directions along
    which the minimum is degenerate count nothing. Of neural networks, with their errors and by
    other estimators: ``llm_bridge.langevin.learning_coefficient``.

    References
    ----------
    S. Watanabe, Algebraic Geometry and Statistical Learning Theory (2009), chapter 1.

    Examples
    --------
    One variable in a quartic well counts half:

    >>> generator = np.random.default_rng(20261121)
    >>> x = generator.gamma(0.25, size=40_000) ** 0.25  # e^(−x⁴), by its inverse
    >>> float(learning_dof(x**4, 1.0).round(2))
    0.5
    """
    from scipy.special import digamma, polygamma

    b = _unbounded_beta(beta, "energies above a minimum")
    if b.ndim:
        raise InvalidInputError(f"β of shape {b.shape} was given; accepted: one number")
    energy = as_real(excess_energy, "excess_energy")
    if energy.ndim == 0 or energy.shape[-1] == 0 or not ((energy > 0) & np.isfinite(energy)).all():
        raise InvalidInputError(
            "excess_energy must be draws that are finite and > 0, on the last axis."
        )
    mean_log = np.log(b * energy).mean(axis=-1)
    # Minka's start for the inverse digamma; Newton's steps then double its digits.
    shape = np.where(mean_log >= -2.22, np.exp(mean_log) + 0.5, -1.0 / (mean_log - digamma(1.0)))
    for _ in range(6):
        shape = shape - (digamma(shape) - mean_log) / polygamma(1, shape)
    return np.asarray(2.0 * shape)


def _unbounded_beta(beta: ArrayLike, system: str) -> NDArray[np.float64]:
    """Return β of a system whose energy has no upper bound, finite and > 0."""
    b = as_beta(beta)
    if (b <= 0.0).any():
        raise UnboundedSpectrumError(float(b.min()), system)
    if np.isinf(b).any():
        raise InvalidInputError("β = inf was given; accepted: finite β > 0")
    return b


def state_space_dof(log_states: ArrayLike) -> NDArray[np.float64]:
    r"""Bits needed to name a state, :math:`\ln W/\ln 2`: the number of two-way choices.

    Parameters
    ----------
    log_states : array_like
        ln of the number of states (``EnergyLevels.log_states``).

    Returns
    -------
    ndarray

    Raises
    ------
    InvalidInputError
        NaN or infinite.

    Examples
    --------
    N spins have N, a vocabulary of 4096 has 12:

    >>> float(state_space_dof(np.log(4096)))
    12.0
    """
    nats = as_real(log_states, "log_states")
    if not np.isfinite(nats).all():
        raise InvalidInputError("log_states is NaN or infinite; finite numbers are accepted.")
    return np.asarray(nats / np.log(2.0))


def effective_states(state: Thermodynamics) -> NDArray[np.float64]:
    """exp(S/k): the number of equally likely states with this entropy; perplexity.

    Parameters
    ----------
    state : Thermodynamics

    Returns
    -------
    ndarray, shape of ``state.beta``

    Examples
    --------
    >>> from thermo.canonical import canonical
    >>> from thermo.levels import EnergyLevels
    >>> effective_states(canonical(EnergyLevels([0, 1, 2, 3]), 0.0)).round(6)
    np.float64(4.0)
    """
    return state.effective_states


def participation_ratio(state: Thermodynamics) -> NDArray[np.float64]:
    r"""1/Σp² over states: like :func:`effective_states`, with less weight on rare states.

    For canonical populations it is :math:`Z(\beta)^2/Z(2\beta)`.

    Parameters
    ----------
    state : Thermodynamics

    Returns
    -------
    ndarray, shape of ``state.beta``

    Examples
    --------
    >>> from thermo.canonical import canonical
    >>> from thermo.levels import EnergyLevels
    >>> participation_ratio(canonical(EnergyLevels([0, 1]), [0.0, float("inf")]))
    array([2., 1.])
    """
    return state.participation_ratio
