"""How weights answer to a force, foretold by how they fluctuate without one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llm_bridge.langevin.loss import Array, Loss
from llm_bridge.langevin.weight_run import WeightRun
from thermo.arguments import as_real, finite_number
from thermo.errors import InvalidInputError
from thermo.estimate.autocorrelation import MeanWithError, mean_with_error

__all__ = ["TiltedLoss", "measured_response", "static_response"]


class TiltedLoss(Loss):
    r"""A loss under a constant force, :math:`L_f(w) = L(w) - f\,a\cdot w`.

    Parameters
    ----------
    loss : Loss
    direction : array_like, shape (d,)
        a.
    force : float
        f, in nats per unit of a·w, either sign.

    Raises
    ------
    InvalidInputError

    Notes
    -----
    It has no upper bound, whatever L has, and a lower one only where L grows faster than w along a;
    the prior of a posterior supplies one.
    """

    def __init__(self, loss: Loss, direction: ArrayLike, force: float) -> None:
        self.loss = loss
        self.direction = as_real(direction, "direction")
        if self.direction.shape != (loss.dimension,) or not np.isfinite(self.direction).all():
            raise InvalidInputError(
                f"direction has shape {self.direction.shape}; accepted: ({loss.dimension},), "
                "finite numbers"
            )
        self.force = finite_number(force, "force")
        self.dimension, self.samples = loss.dimension, loss.samples

    def __repr__(self) -> str:
        return f"TiltedLoss({self.loss!r}, force={self.force:g})"

    def value_and_gradient(
        self, weights: Array, rows: NDArray[np.intp] | None = None
    ) -> tuple[Array, Array]:
        value, gradient = self.loss.value_and_gradient(weights, rows)
        return (
            value - self.force * (weights @ self.direction),
            gradient - self.force * self.direction,
        )

    def laplacian(self, weights: Array) -> Array:
        return self.loss.laplacian(weights)


def static_response(run: WeightRun, force: str, observable: str) -> MeanWithError:
    r"""Foretell d⟨B⟩/df from a run without a force, by fluctuation and dissipation.

    .. math:: \frac{d\langle B\rangle}{df} = n\beta\,\mathrm{Cov}(A, B) = \mathrm{Cov}(A, B)/T_w

    for the tilted loss L − fA.

    Parameters
    ----------
    run : WeightRun
        Equilibrated, with both quantities observed; any β.
    force, observable : str
        Names of the series of A and of B.

    Returns
    -------
    MeanWithError
        Scalar.

    Raises
    ------
    InvalidInputError
        A name that was not observed.

    References
    ----------
    R. Kubo, "The fluctuation-dissipation theorem", Rep. Prog. Phys. 29, 255 (1966).

    Examples
    --------
    A spring of stiffness 4 gives way by f/4:

    >>> from llm_bridge.langevin import QuadraticLoss, TemperedPosterior, hamiltonian
    >>> run = hamiltonian(
    ...     TemperedPosterior(QuadraticLoss([4.0]), samples=100), step=0.05, leapfrogs=2,
    ...     steps=1000, burn_in=20, chains=50, seed=1, observe={"w": lambda s: s.weights[:, 0]},
    ... )
    >>> answer = static_response(run, "w", "w")
    >>> bool(abs(answer.mean - 0.25) < 4 * answer.error < 0.02)
    True
    """
    a, b = (_series(run, name) for name in (force, observable))
    a_mean, b_mean = mean_with_error(a), mean_with_error(b)
    products = mean_with_error((a - a_mean.mean) * (b - b_mean.mean))
    beta = run.posterior.inverse_temperature
    return MeanWithError(
        beta * products.mean, abs(beta) * products.error, products.ess, products.tau
    )


def measured_response(forward: WeightRun, back: WeightRun, observable: str) -> MeanWithError:
    r"""Measure d⟨B⟩/df from two runs under opposite forces, (⟨B⟩₊ − ⟨B⟩₋)/2f.

    Parameters
    ----------
    forward, back : WeightRun
        Of `TiltedLoss` at f and −f. With the same seed they feel the same noise, chain by chain, so
        that most of it cancels.
    observable : str
        Name of the series of B.

    Returns
    -------
    MeanWithError
        Scalar; the rest of a finite force is of order f².

    Raises
    ------
    InvalidInputError
        Runs that are not of opposite forces, or differ in shape.
    """
    forces = [getattr(run.posterior.loss, "force", None) for run in (forward, back)]
    if None in forces or forces[0] != -forces[1] or forces[0] == 0:
        raise InvalidInputError(
            f"runs under forces {forces[0]} and {forces[1]} were given; accepted: f and −f, of "
            "TiltedLoss"
        )
    b = [_series(run, observable) for run in (forward, back)]
    if b[0].shape != b[1].shape:
        raise InvalidInputError(
            f"runs of {b[0].shape} and {b[1].shape} chains and draws were given; accepted: alike"
        )
    return mean_with_error((b[0] - b[1]) / (2.0 * forces[0]))


def _series(run: WeightRun, name: str) -> Array:
    if name not in run.series:
        known = ", ".join(map(repr, run.series)) or "nothing"
        raise InvalidInputError(f"the run did not observe {name!r}; it observed {known}")
    return run.series[name]
