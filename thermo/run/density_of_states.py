"""Numbers of states by any method: one function, one answer for both signs of β."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

from thermo.arguments import one_of
from thermo.errors import InvalidInputError
from thermo.estimate.sampled_density import SampledDensity
from thermo.exact.density_of_states import exact_levels
from thermo.levels import EnergyLevels
from thermo.run.flat_histogram import multicanonical, wang_landau
from thermo.run.reweighting import reweighting

__all__ = ["density_of_states"]

_SAMPLED: dict[str, Callable[..., SampledDensity]] = {
    "wang_landau": wang_landau,
    "multicanonical": multicanonical,
    "reweighting": reweighting,
}


def density_of_states(model: Any, method: str = "exact", **options: Any) -> EnergyLevels:
    r"""Return the number of states g(E) at every energy of a model, exactly or by sampling.

    Parameters
    ----------
    model : model
        ``"exact"``: `thermo.Ising` on `thermo.lattice.square` with periodic edges in zero field
        (any coupling, up to 128² sites), or any model whose ``levels()`` can list its states.
        Sampled: Ising, Potts and clock models with any couplings; XY and Heisenberg models with a
        `bin_width`, ``"reweighting"`` with `beta` as well. Of these ln g is relative: to all
        states, which count as one.
    method : {"exact", "wang_landau", "multicanonical", "reweighting"}
        The sampled ones are `thermo.run.flat_histogram.wang_landau`,
        `thermo.run.flat_histogram.multicanonical` and `thermo.run.reweighting.reweighting`: call
        these for standard errors of ln g and for more than the levels.
    **options
        Arguments of that function by name, such as `sweeps`, `seed`, `bin_width`, `progress`.

    Returns
    -------
    EnergyLevels
        Ascending energies with ln g, normalised to qⁿ states in all (1 for continuous spins).

    Raises
    ------
    InvalidInputError
        Another method, an option it does not have, or a model it cannot do; the message says why.

    Notes
    -----
    Exact where that is possible; else reweighting, unless canonical chains do not equilibrate;
    there multicanonical.

    Examples
    --------
    >>> from thermo.lattice import cubic, square
    >>> from thermo.models import Ising
    >>> levels = density_of_states(Ising(square(32), coupling=-1.0))
    >>> levels.minimum, round(levels.log_states / 1024, 12)
    (-2048.0, 0.69314718056)
    >>> sampled = density_of_states(Ising(cubic(3)), "reweighting", sweeps=1000, seed=1)
    >>> sampled.minimum, round(sampled.log_states / 27, 12)
    (-81.0, 0.69314718056)
    """
    method = one_of(method, "method", ["exact", *_SAMPLED])
    if method == "exact":
        _check_options(exact_levels, method, options)
        return exact_levels(model, **options)
    sample = _SAMPLED[method]
    _check_options(sample, method, options)
    return sample(model, **options).levels


def _check_options(function: Callable[..., Any], method: str, options: dict[str, Any]) -> None:
    accepted = list(signature(function).parameters)[1:]
    unknown = [name for name in options if name not in accepted]
    if unknown:
        raise InvalidInputError(
            f"{unknown[0]} was given to method {method!r}; accepted: "
            f"{', '.join(accepted) or 'no further arguments'}"
        )
