"""Energy levels: what a system must have in order to have a temperature."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from hashlib import blake2b

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo.arguments import as_real
from thermo.errors import InvalidInputError

__all__ = ["EnergyLevels", "require_levels"]

# Energies this close, compared with the largest |E|, differ by the rounding of their sums.
_ROUNDING = 1e-12
_LARGEST = 1e150


class EnergyLevels:
    r"""A list of energies, each with the logarithm of how many states have it.

    .. math:: Z(\beta) = \sum_i g_i\,e^{-\beta E_i}, \qquad g_i = e^{\texttt{log\_degeneracy}_i}

    An enumerated spin model, a density of states, a two-level atom and a vector of ``-logits``
    are all this one type, and every thermodynamic function takes it without knowing which.

    Parameters
    ----------
    energies : array_like, shape (L,)
        Energies of the levels in the system's own unit, in any order; finite.
    log_degeneracy : array_like, shape (L,), optional
        ln g of each level in nats, finite; thousands of nats are fine. Default: 0, one state each.
        It need not be the logarithm of an integer (bands, densities of states).
    labels : sequence of str, length L, optional
        Names of the levels, such as tokens.
    bounded_above : bool
        False if the list is the lower part of a spectrum without an upper bound (oscillators,
        kinetic energy). Such a system has no equilibrium at β ≤ 0 and the functions refuse it.
    provenance : str, optional
        Where the numbers come from. Default: a hash of the numbers. Two objects with the same
        provenance are the same measurement: :func:`thermo.fit_beta` warns when levels and
        populations share it.

    Raises
    ------
    InvalidInputError
        No levels, mismatched shapes, NaN or infinite values.

    Notes
    -----
    Immutable: the arrays are read-only copies. Do not use a level with ``log_degeneracy = -inf``
    for "no states here": leave it out.

    Examples
    --------
    >>> two_level = EnergyLevels([0.0, 1.0], labels=["ground", "excited"])
    >>> len(two_level), two_level.minimum, two_level.maximum
    (2, 0.0, 1.0)
    """

    __slots__ = (
        "__dict__",
        "bounded_above",
        "energies",
        "labels",
        "log_degeneracy",
    )

    energies: NDArray[np.float64]
    log_degeneracy: NDArray[np.float64]
    labels: tuple[str, ...] | None
    bounded_above: bool

    def __init__(
        self,
        energies: ArrayLike,
        log_degeneracy: ArrayLike | None = None,
        labels: Sequence[str] | None = None,
        *,
        bounded_above: bool = True,
        provenance: str | None = None,
    ) -> None:
        e = _finite_vector(energies, "energies")
        if e.size == 0:
            raise InvalidInputError("0 energy levels were given; at least one is needed.")
        if np.abs(e).max() > _LARGEST:
            raise InvalidInputError(
                f"energies reach {np.abs(e).max():g}; at most {_LARGEST:g} is accepted, since "
                "their squares are needed (choose a larger unit)."
            )
        if log_degeneracy is None:
            g = np.zeros_like(e)
        else:
            g = _finite_vector(log_degeneracy, "log_degeneracy")
            if g.shape != e.shape:
                raise InvalidInputError(
                    f"log_degeneracy has shape {g.shape} but energies has {e.shape}; "
                    "one value per level is needed."
                )
        if labels is not None:
            try:
                labels = tuple(str(label) for label in labels)
            except TypeError as error:
                raise InvalidInputError("labels must be a list of names, one per level.") from error
            if len(labels) != e.size:
                raise InvalidInputError(
                    f"{len(labels)} labels were given for {e.size} levels; one each is needed."
                )
        e.flags.writeable = False
        g.flags.writeable = False
        set_once = object.__setattr__
        set_once(self, "energies", e)
        set_once(self, "log_degeneracy", g)
        set_once(self, "labels", labels)
        set_once(self, "bounded_above", bool(bounded_above))
        if provenance is not None:
            self.__dict__["provenance"] = str(provenance)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"EnergyLevels is immutable; {name} cannot be set")

    def __reduce__(self) -> tuple[object, ...]:  # copies and worker processes
        options = {"bounded_above": self.bounded_above, "provenance": self.provenance}
        rebuild = partial(EnergyLevels, **options)  # type: ignore[arg-type]
        return rebuild, (self.energies, self.log_degeneracy, self.labels)

    def __len__(self) -> int:
        return self.energies.size

    def __repr__(self) -> str:
        top = "" if self.bounded_above else ", no upper bound"
        return (
            f"EnergyLevels({len(self)} levels, E from {self.minimum:g} to {self.maximum:g}, "
            f"ln(states) = {self.log_states:.6g}{top})"
        )

    @cached_property
    def provenance(self) -> str:
        """Where the numbers come from; unless one was given, a hash of them.

        Of energies above the lowest, to nine digits of the whole span: a spectrum in another gauge,
        such as log-probabilities in place of logits, is the same measurement.
        """
        span = self.maximum - self.minimum
        relative = (self.energies - self.minimum) / (span or 1.0)
        digest = blake2b(np.round(relative, 9).tobytes(), digest_size=8)
        digest.update(f"{span:.9g}".encode())
        digest.update(self.log_degeneracy.tobytes())
        return f"levels:{digest.hexdigest()}"

    @cached_property
    def minimum(self) -> float:
        """Lowest energy."""
        return float(self.energies.min())

    @cached_property
    def maximum(self) -> float:
        """Highest energy in the list (of the spectrum itself only if ``bounded_above``)."""
        return float(self.energies.max())

    @cached_property
    def log_states(self) -> float:
        """ln of the number of states, Σ g; the entropy at β = 0."""
        top = self.log_degeneracy.max()
        return float(top + np.log(np.exp(self.log_degeneracy - top).sum()))

    def shifted(self, offset: float) -> EnergyLevels:
        """The same levels with ``offset`` added to every energy (a change of gauge).

        The provenance stays: a gauge is a way to write the same measurement down.

        Examples
        --------
        >>> EnergyLevels([0.0, 1.0]).shifted(-0.5).energies
        array([-0.5,  0.5])
        """
        return EnergyLevels(
            self.energies + float(offset),
            self.log_degeneracy,
            self.labels,
            bounded_above=self.bounded_above,
            provenance=self.provenance,
        )

    def merged(self) -> EnergyLevels:
        """Sorted by energy, with levels of equal energy made one (labels are dropped).

        Equal is what agrees to 1e-12 of the largest ``|E|``: energies added up in another order.

        Examples
        --------
        >>> import numpy as np
        >>> np.exp(EnergyLevels([1.0, 0.0, 1.0]).merged().log_degeneracy)
        array([1., 2.])
        """
        order = np.argsort(self.energies, kind="stable")
        ranked = self.energies[order]
        first = np.diff(ranked, prepend=-np.inf) > _ROUNDING * np.abs(ranked).max()
        energies = ranked[first]
        index = np.empty(ranked.size, dtype=np.intp)
        index[order] = np.cumsum(first) - 1
        top = np.full(energies.size, -np.inf)
        np.maximum.at(top, index, self.log_degeneracy)
        total = np.zeros(energies.size)
        np.add.at(total, index, np.exp(self.log_degeneracy - top[index]))
        return EnergyLevels(energies, top + np.log(total), bounded_above=self.bounded_above)


def require_levels(levels: object) -> None:
    """Refuse what is not :class:`EnergyLevels`, such as a bare list of energies.

    Parameters
    ----------
    levels : object
        What a caller gave.

    Raises
    ------
    InvalidInputError
        It is something else.

    Examples
    --------
    >>> require_levels(EnergyLevels([0.0, 1.0]))
    """
    if not isinstance(levels, EnergyLevels):
        raise InvalidInputError(
            f"{type(levels).__name__} was given where EnergyLevels are needed; a list of "
            "energies becomes them by EnergyLevels([...])."
        )


def _finite_vector(values: ArrayLike, name: str) -> NDArray[np.float64]:
    vector = as_real(values, name) + 0.0  # a copy, in which −0.0 (a negated logit) is 0.0
    if vector.ndim != 1:
        raise InvalidInputError(f"{name} has shape {vector.shape}; shape (L,) is accepted.")
    bad = ~np.isfinite(vector)
    if bad.any():
        first = int(np.argmax(bad))
        raise InvalidInputError(
            f"{name}[{first}] = {vector[first]}; only finite numbers are accepted "
            "(leave levels without states out)."
        )
    return vector
