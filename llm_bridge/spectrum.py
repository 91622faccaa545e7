"""Logits as energy levels, E = −z: thermodynamics of many positions at any signed β."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llm_bridge.error_bounds import FIELDS, BoundedThermodynamics, ErrorBound, error_bound
from llm_bridge.logit_arrays import (
    as_array,
    as_logits,
    is_masked,
    require_plain,
    row_blocks,
    stored,
    valid_columns,
)
from llm_bridge.quenched import position_mean, quenched  # noqa: F401 (where they used to be)
from thermo.arguments import finite_number, one_of, whole_number
from thermo.canonical import Thermodynamics, boltzmann_sums
from thermo.errors import InvalidInputError
from thermo.levels import EnergyLevels
from thermo.temperature import as_beta

__all__ = ["energy_levels", "thermodynamics", "centred", "natural_scale"]

FloatArray = NDArray[np.float64]

_METHODS = ("auto", "direct", "binned")
_MANY_TOKENS, _MANY_BETAS = 16384, 4  # from here on reading into bins is the faster way


def energy_levels(
    logits_row: ArrayLike,
    vocabulary: Sequence[str] | None = None,
    valid: ArrayLike | None = None,
    *,
    provenance: str | None = None,
) -> EnergyLevels:
    r"""The energy levels of one position: one state per token, :math:`E_i = -z_i`.

    Parameters
    ----------
    logits_row : array_like, shape (V,)
        Logits in nats. Masked tokens (`llm_bridge.logit_arrays.is_masked`) are left out.
    vocabulary : sequence of str, length V, optional
        The text of every token; becomes the labels.
    valid : array_like of bool, shape (V,), optional
        False for columns to leave out.
    provenance : str, optional
        Where the logits come from; default: a hash of them.

    Returns
    -------
    EnergyLevels
        In the order of the vocabulary; equal logits stay separate levels.

    Raises
    ------
    InvalidInputError
        NaN, +inf, no token left, or mismatched lengths.

    Examples
    --------
    >>> energy_levels([2.0, 0.5, float("-inf")], ["yes", "no", "<pad>"]).labels
    ('yes', 'no')
    """
    row = as_array(logits_row, "logits_row")
    if row.ndim != 1:
        raise InvalidInputError(f"logits_row has shape {row.shape}; one position, (V,), is needed.")
    rows, columns = as_logits(row[None], valid)
    if vocabulary is not None and len(vocabulary) != row.size:
        raise InvalidInputError(f"{len(vocabulary)} words were given for {row.size} logits.")
    kept = np.flatnonzero(columns & ~is_masked(rows[0]))
    labels = None if vocabulary is None else [vocabulary[i] for i in kept.tolist()]
    return EnergyLevels(-rows[0, kept].astype(np.float64), labels=labels, provenance=provenance)


def thermodynamics(
    logits: Any,
    beta: ArrayLike,
    valid: ArrayLike | None = None,
    *,
    method: str = "auto",
    tolerance: float = 1e-6,
    threads: int | None = None,
) -> BoundedThermodynamics:
    r"""Canonical thermodynamics of logits at every position and any signed β.

    .. math::
        Z_t(\beta) = \sum_i e^{\beta z_{ti}}, \qquad p_{ti} = e^{\beta z_{ti}}/Z_t

    with energies :math:`E = -z`: β = 1 is the model's own distribution, β → +∞ greedy decoding,
    β = 0 the uniform distribution, β < 0 prefers unlikely tokens.

    Parameters
    ----------
    logits : array_like or torch.Tensor, shape (N, V)
        Logits in nats of any float type; −inf and the lowest number of a dtype mask a token.
    beta : array_like, shape (B,) or ()
        Inverse temperatures: any real number, ±0.0, ±inf.
    valid : array_like of bool, shape (V,), optional
        False for columns that are no tokens (a padded vocabulary).
    method : {"auto", "direct", "binned"}
        "direct" sums over all V tokens at each β. "binned" reads the logits once, counts them into
        bins with moments, and sums over the bins at each β. "auto" takes "direct" unless there are
        at least 16384 tokens and four β, or the logits are on a GPU.
    tolerance : float
        For "binned": the largest error of ln Z, 1e-8 … 1e-3.
    threads : int, optional
        For "binned": how many rows to read at once. Default: one per core. Nothing but the time
        depends on it.

    Returns
    -------
    BoundedThermodynamics
        The fields of :func:`thermo.canonical`, arrays of shape (N, B), or (N,) for scalar β, and
        ``error_bound``, how far each can be from the exact sums.

    Raises
    ------
    InvalidInputError
        β is NaN; NaN, +inf or more than 1e150 among the logits, or a position with every token
        masked; True and False, a sparse or an 8-bit tensor, a masked array; another method,
        tolerance or number of threads.

    Notes
    -----
    Either method measures from the end of the spectrum that dominates (the largest logit for β > 0,
    the smallest for β < 0), in float64, with masks taken out before β is applied, so that no mask
    turns into +inf at β < 0 or into 0·∞ at β = 0. Tied logits count as degeneracy.

    Direct summation takes N·V·B exponentials; it is the reference, and keeps the *relative*
    accuracy of an entropy that is nearly zero. Binned sums have absolute bounds. Where β is too
    steep for 16384 bins (:math:`|\beta|` of a hundred or so), and at β = ±∞, the levels next to the
    end are summed directly: nothing is lost there. Working memory is bounded whatever N: logits may
    be a memory-mapped file.

    U, ln Z and F contain the arbitrary constant of each position's logits. Compare positions or
    models after `centred`, or by S, C and differences of U.

    Examples
    --------
    Two tokens with logits ±1 are a two-level system with a gap of 2:

    >>> thermodynamics([[1.0, -1.0]], [1.0, 0.0, -1.0]).internal_energy.round(4)
    array([[-0.7616,  0.    ,  0.7616]])

    A vocabulary of 100 000 tokens, read once; the error is below what was asked for:

    >>> logits = 2.5 * np.random.default_rng(0).normal(size=(1, 100_000))
    >>> state = thermodynamics(logits, np.linspace(-2, 2, 9))
    >>> state.entropy.round(3)
    array([[ 2.949,  5.388,  8.426, 10.725, 11.513, 10.724,  8.209,  4.387,  1.762]])
    >>> bool((state.error_bound.log_partition_function < 1e-6).all())
    True
    """
    b = as_beta(beta)
    if b.ndim > 1:
        raise InvalidInputError(f"beta has shape {b.shape}; one number or one axis is accepted.")
    one_of(method, "method", _METHODS)
    if not 1e-8 <= finite_number(tolerance, "tolerance") <= 1e-3:
        raise InvalidInputError(f"tolerance = {tolerance} was given; accepted: 1e-8 … 1e-3")
    if threads is not None:
        whole_number(threads, "threads", 1)
    require_plain(logits, "logits")
    floats = hasattr(logits, "is_floating_point") and logits.is_floating_point()  # of torch
    array: Any = logits if floats else as_array(logits, "logits")
    columns = valid_columns(array.shape, valid)
    if method == "auto":
        many = int(columns.sum()) >= _MANY_TOKENS and b.size >= _MANY_BETAS
        method = "binned" if many or getattr(array, "is_cuda", False) else "direct"
    sum_over_levels = _binned if method == "binned" else _direct
    fields, lowest, highest, half = sum_over_levels(array, b.ravel(), columns, tolerance, threads)
    shape = (array.shape[0], *b.shape)
    state = Thermodynamics(np.broadcast_to(b.ravel(), fields.shape[1:]), *fields)
    bound = error_bound(state, lowest, highest, int(columns.sum()), half)
    return BoundedThermodynamics(
        **{name: part.reshape(shape).copy() for name, part in vars(state).items()},
        error_bound=ErrorBound(**{name: part.reshape(shape) for name, part in vars(bound).items()}),
    )


def centred(logits: Any, valid: ArrayLike | None = None) -> NDArray[np.float64]:
    """The same logits with each position's mean over its tokens at zero: U(β = 0) = 0.

    A change of gauge that makes energies of different positions comparable: U and ln Z of the
    result are measured from the infinitely hot state; S, C and populations are unchanged.

    Parameters
    ----------
    logits : array_like or torch.Tensor, shape (N, V)
    valid : array_like of bool, shape (V,), optional
        False for columns that are no tokens.

    Returns
    -------
    ndarray of float64, shape (N, V)
        Masked tokens are −inf.

    Examples
    --------
    >>> centred([[3.0, 1.0, float("-inf")]])
    array([[  1.,  -1., -inf]])
    """
    array, columns = as_logits(logits, valid)
    open_tokens = columns & ~is_masked(array)
    values = np.where(open_tokens, array, 0.0).astype(np.float64)
    mean = values.sum(axis=1) / open_tokens.sum(axis=1)
    return np.where(open_tokens, values - mean[:, None], -np.inf)


def natural_scale(logits: Any, valid: ArrayLike | None = None) -> float:
    r"""The natural energy scale of logits, σ₀: their spread at infinite temperature.

    .. math:: \sigma_0^2 = \frac1N \sum_t \mathrm{Var}_{\beta=0}(E_t)

    With b = βσ₀ and u = (U − U₀)/σ₀ every system, a spin lattice or a language model, is the same
    parabola S = S₀ − u²/2 near b = 0.

    Parameters
    ----------
    logits : array_like or torch.Tensor, shape (N, V)
    valid : array_like of bool, shape (V,), optional
        False for columns that are no tokens.

    Returns
    -------
    float
        σ₀ in nats. Its error follows from ``quenched(...).energy_variance`` at β = 0.

    Examples
    --------
    >>> natural_scale([[3.0, -3.0], [4.0, -4.0]])
    3.5355339059327378
    """
    return float(np.sqrt(thermodynamics(logits, 0.0, valid).energy_variance.mean()))


def _direct(
    logits: Any, beta: FloatArray, columns: NDArray[np.bool_], *_settings: Any
) -> tuple[FloatArray, ...]:
    """Fields (5, N, B) and ends (N, 1) by summing over every level; the width of bins is 0."""
    array, _ = as_logits(stored(logits), columns)
    count = array.shape[0]
    fields = np.empty((len(FIELDS), count, beta.size))
    lowest, highest = np.empty((count, 1)), np.empty((count, 1))
    for block, energies, open_tokens in _energy_blocks(array, columns):
        is_open = True if open_tokens is None else open_tokens
        lowest[block, 0] = -np.max(energies, axis=1, where=is_open, initial=-np.inf)
        highest[block, 0] = -np.min(energies, axis=1, where=is_open, initial=np.inf)
        if open_tokens is None:
            parts = [boltzmann_sums(energies, None, beta)]
        else:  # each position has its own mask: leave the masked tokens out of its sums
            parts = [
                boltzmann_sums(row[open_row][None], None, beta)
                for row, open_row in zip(energies, open_tokens, strict=True)
            ]
        for name, target in zip(FIELDS, fields, strict=True):
            target[block] = np.concatenate([getattr(part, name) for part in parts])
    return fields, lowest, highest, np.zeros((count, beta.size))


def _binned(
    logits: Any,
    beta: FloatArray,
    columns: NDArray[np.bool_],
    tolerance: float,
    threads: int | None,
) -> tuple[FloatArray, ...]:
    """Fields (5, N, B), ends (N, 1), half the width of the bins (N, B)."""
    from llm_bridge.binned_spectrum import UnusableRowError, binned_sums
    from thermo.run.workers import available_cores

    try:
        found = binned_sums(logits, beta, columns, tolerance, threads or available_cores())
    except UnusableRowError:
        as_logits(logits, columns)  # says where, and what is wrong with it
        raise
    return found.fields, found.lowest, found.highest, found.half_width


def _energy_blocks(
    logits: NDArray[Any], columns: NDArray[np.bool_]
) -> Iterator[tuple[slice, FloatArray, NDArray[np.bool_] | None]]:
    """Blocks of rows as float64 energies over valid columns, with a mask where one is needed."""
    for block in row_blocks(*logits.shape):
        part = logits[block] if columns.all() else logits[block][:, columns]
        masked = is_masked(part)
        yield block, -part.astype(np.float64), ~masked if masked.any() else None
