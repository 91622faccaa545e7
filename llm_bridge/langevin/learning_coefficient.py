"""Degrees of freedom of a network: twice its local learning coefficient, by energy and by heat."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from llm_bridge.langevin.weight_run import WeightRun
from thermo.arguments import as_real, finite_number
from thermo.errors import EquilibrationWarning, InvalidInputError
from thermo.estimate.autocorrelation import MeanWithError, mean_with_error
from thermo.run.equilibration import Equilibration, equilibration

__all__ = ["LearningCoefficient", "extrapolated_to_zero_step", "learning_coefficient"]


@dataclass(frozen=True, eq=False)
class LearningCoefficient:
    r"""Two estimates of λ from one run, each with its error.

    Attributes
    ----------
    excess_energy : MeanWithError
        :math:`\hat\lambda = n\beta(\langle L\rangle - L_0)`.
    heat_capacity : MeanWithError
        :math:`(n\beta)^2\,\mathrm{Var}\,L`, which needs no L₀.
    reference_loss : float
        L₀.
    equilibration : Equilibration
        What the chains say of themselves.
    """

    excess_energy: MeanWithError
    heat_capacity: MeanWithError
    reference_loss: float
    equilibration: Equilibration

    @property
    def degrees_of_freedom(self) -> MeanWithError:
        """f = 2λ by equipartition: the excess energy is f/2 times the temperature."""
        return _times(2.0, self.excess_energy)

    @property
    def heat_capacity_dof(self) -> MeanWithError:
        """f = 2C."""
        return _times(2.0, self.heat_capacity)


def learning_coefficient(
    run: WeightRun, reference_loss: float | None = None
) -> LearningCoefficient:
    r"""Estimate the local learning coefficient from a run of chains.

    .. math:: \hat\lambda = n\beta\,(\langle L \rangle - L_0), \qquad
              C = (n\beta)^2\,\mathrm{Var}\,L, \qquad f = 2\lambda

    In units of the temperature :math:`T_w = 1/n\beta` the first is an energy above the ground
    state and the second a heat capacity; for a quadratic basin of d directions, much steeper than
    the prior, both are d/2. For a singular model they are its learning coefficient λ < d/2.

    Parameters
    ----------
    run : WeightRun
        At β ≠ 0.
    reference_loss : float, optional
        L₀; default the loss's known minimum, or else (and at β < 0) its value at the centre w₀.

    Returns
    -------
    LearningCoefficient

    Warns
    -----
    EquilibrationWarning
        The losses still change at the beginning, or the chains disagree.

    Raises
    ------
    InvalidInputError
        β = 0, or a single number.

    Notes
    -----
    Both tend to λ as nβ → ∞ only. At finite nβ they differ from λ by what the prior takes, and
    from each other: :math:`C = \hat\lambda - d\hat\lambda/d\ln n\beta`. In a quadratic basin of
    curvatures h, with α = γ/nβ, they are :math:`\tfrac12\sum h/(h+\alpha)`, half of MacKay's
    effective number of parameters, and :math:`\tfrac12\sum h^2/(h+\alpha)^2`. Where minima cross
    each other with multiplicity m > 1 they approach λ as slowly as 1/ln nβ.

    An L₀ that is not the lowest loss shifts the first by nβ times its error and leaves the second
    alone: far apart, they say that w₀ is no minimum, or that chains have left its neighbourhood.
    A run of SGLD has the error of its step on top, `extrapolated_to_zero_step`.

    References
    ----------
    S. Watanabe, "A widely applicable Bayesian information criterion", J. Mach. Learn. Res. 14, 867
    (2013). E. Lau and others, "The local learning coefficient: a singularity-aware complexity
    measure", AISTATS (2025). D. J. C. MacKay, "Bayesian interpolation", Neural Computation 4, 415
    (1992).

    Examples
    --------
    >>> from llm_bridge.langevin import QuadraticLoss, TemperedPosterior, hamiltonian
    >>> posterior = TemperedPosterior(QuadraticLoss([1.0, 2.0, 0.0]), samples=100)
    >>> run = hamiltonian(
    ...     posterior, step=0.1, leapfrogs=2, steps=1000, burn_in=20, chains=50, seed=1
    ... )
    >>> f = learning_coefficient(run).degrees_of_freedom
    >>> bool(abs(f.mean - 2) < 4 * f.error < 0.1)  # two directions cost something, one nothing
    True
    """
    beta = run.posterior.inverse_temperature
    if beta == 0:
        raise InvalidInputError("at β = 0 the loss does not act, and λ = nβ(⟨L⟩ − L₀) says nothing")
    reference = _reference(run) if reference_loss is None else reference_loss
    reference = finite_number(reference, "reference_loss")
    judged = equilibration(np.array([beta]), {"losses": run.loss[None]})
    if judged.verdict[0] == "failed":
        warnings.warn(
            "the losses of the chains disagree, or still change at the beginning: the errors of λ "
            "are not to be trusted. Give more burn_in and more steps.",
            EquilibrationWarning,
            stacklevel=2,
        )
    energy = mean_with_error(beta * (run.loss - reference))
    squares = mean_with_error((beta * (run.loss - run.loss.mean())) ** 2)
    # The mean of the draws is nearer to them than the true one is, by its own error squared.
    heat = MeanWithError(squares.mean + energy.error**2, squares.error, squares.ess, squares.tau)
    return LearningCoefficient(energy, heat, reference, judged)


def extrapolated_to_zero_step(
    values: Sequence[MeanWithError], steps: ArrayLike
) -> tuple[float, float]:
    r"""Extrapolate estimates at several steps to step 0 by a straight line.

    In a quadratic basin SGLD's λ̂ is λ/(1 − εκ/4) = λ(1 + εκ/4 + …): take steps at which the
    quadratic term, (εκ/4)², is below the error.

    Parameters
    ----------
    values : sequence of MeanWithError
        Scalar estimates from independent runs.
    steps : array_like, shape of ``values``
        ε of each; for `underdamped`, whose error is of second order, h².

    Returns
    -------
    value, error : float
        Of the weighted straight line at ε = 0.

    Raises
    ------
    InvalidInputError
        Fewer than two different steps, or estimates without an error.

    Examples
    --------
    >>> at = [MeanWithError(*map(np.float64, (mean, 0.01, 100, 0.5))) for mean in (1.2, 1.1)]
    >>> value, error = extrapolated_to_zero_step(at, [0.2, 0.1])
    >>> round(value, 12), round(error, 4)
    (1.0, 0.0224)
    """
    epsilon = as_real(steps, "steps")
    means = np.array([float(value.mean) for value in values])
    errors = np.array([float(value.error) for value in values])
    if epsilon.shape != means.shape or np.unique(epsilon).size < 2:
        raise InvalidInputError(
            f"{len(means)} estimates were given with steps {epsilon.tolist()}; accepted: one step "
            "for each, at least two different ones"
        )
    if not (errors > 0).all():
        raise InvalidInputError("an estimate without an error was given; accepted: errors > 0")
    design = np.stack([np.ones_like(epsilon), epsilon], axis=1) / errors[:, None]
    inverse = np.linalg.inv(design.T @ design)
    value = inverse @ (design.T @ (means / errors))
    return float(value[0]), float(np.sqrt(inverse[0, 0]))


def _reference(run: WeightRun) -> float:
    loss = run.posterior.loss
    if run.posterior.beta > 0 and loss.minimum is not None:
        return loss.minimum
    return float(loss.value(run.posterior.centre[None])[0])


def _times(factor: float, estimate: MeanWithError) -> MeanWithError:
    return MeanWithError(
        factor * estimate.mean, abs(factor) * estimate.error, estimate.ess, estimate.tau
    )
